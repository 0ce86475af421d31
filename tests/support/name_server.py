#!/usr/bin/env python3
"""A name server that finds each name at 127.0.0.1 and at no IPv6 address: name_server.py ADDRESS. Prints `ready`."""

import ctypes
import signal
import socket
import struct
import sys

PR_SET_PDEATHSIG = 1
IPV4, INTERNET = 1, 1


def answer(question: bytes) -> bytes:
    """Return the answer to a question of one name (RFC 1035)."""
    end = question.index(b"\0", 12) + 5
    kind = struct.unpack(">H", question[end - 4 : end - 2])[0]
    # The record's name is a pointer to the one of the question.
    records = [struct.pack(">HHHIH4s", 0xC00C, IPV4, INTERNET, 1, 4, bytes([127, 0, 0, 1]))] if kind == IPV4 else []
    head = question[:2] + struct.pack(">HHHHH", 0x8180, 1, len(records), 0, 0)
    return head + question[12:end] + b"".join(records)


def main() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((sys.argv[1], 53))
        print("ready", flush=True)
        while True:
            question, client = server.recvfrom(2048)
            server.sendto(answer(question), client)


if __name__ == "__main__":
    main()
