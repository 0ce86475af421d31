"""A camera that repeats what it was sent, in an error that ffmpeg logs. Its path says how: `/LOGIN/FORM`."""

import base64
import contextlib
import html
import json
import quopri
import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

CHALLENGES = {"basic": 'Basic realm="camera"', "digest": 'Digest realm="camera", nonce="0123456789abcdef"'}


def swapped(code: str) -> str:
    """Return percent or quoted-printable codes in lower and upper case in turn."""
    pieces = re.split("([%=][0-9A-Fa-f]{2})", code)
    return "".join(piece.lower() if at % 4 == 1 else piece for at, piece in enumerate(pieces))


def every_byte(text: str, sign: str) -> str:
    return "".join(f"{sign}{byte:02x}" for byte in text.encode())


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# What a camera says of the credentials `user:password` that it was sent.
OF_CREDENTIALS: dict[str, Callable[[str], str]] = {
    "plain": lambda told: told,
    "upper": lambda told: quote(told, safe=""),
    "lower": lambda told: quote(told, safe="").lower(),
    "mixed": lambda told: swapped(quote(told, safe="/")),
    "form": quote_plus,
    "twice": lambda told: quote(quote(told, safe=""), safe=""),
    "all": lambda told: every_byte(told, "%"),
    "printable": lambda told: swapped(quopri.encodestring(told.encode()).decode().replace("=\n", "")),
    "all_printable": lambda told: every_byte(told, "="),
    "json": json.dumps,
    "html": html.escape,
    "ascii": ascii,
    "longer": lambda told: in_base64(f"?{told}&x"),
    "longest": lambda told: in_base64(f"?!{told}&"),
    "for_urls": lambda told: base64.urlsafe_b64encode(told.encode()).decode().rstrip("="),
    "in_a_query": lambda told: quote(in_base64(told), safe=""),
    # ffmpeg cuts this off at 200 bytes.
    "cut": lambda told: f"{'.' * 165}{quote(told, safe='')}",
    "cut_in_a_code": lambda told: f"{'.' * 170}{quote(told, safe='')}",
    "cut_in_base64": lambda told: f"{'.' * 165} {in_base64(told)}",
}

# What it says of the header `Authorization`.
OF_HEADERS: dict[str, Callable[[str], str]] = {
    "header": lambda header: f"Authorization: {header}",
    "header_in_json": lambda header: json.dumps({"authorization": header}),
    "value": lambda header: header.rpartition(" ")[2],
    "response": lambda header: " ".join(re.findall(r'response="\w+"', header)),
    "digits": lambda header: "-".join(re.findall(r'response="(\w+)"', header)),
    "cut_digits": lambda header: f"{'.' * 180}" + "-".join(re.findall(r'response="(\w+)"', header)),
    "escaped": lambda header: quote(" ".join(re.findall(r'response="\w+"', header)), safe=""),
}

FORMS = (
    *(f"basic/{form}" for form in (*OF_CREDENTIALS, "header", "header_in_json", "value", "away")),
    *(f"digest/{form}" for form in ("header", "header_in_json", "response", "digits", "cut_digits", "escaped")),
)


@dataclass
class Reflector:
    """A camera, and the digests of passwords that it was sent."""

    port: int = 0
    digests: set[str] = field(default_factory=set)


def answer(asked: str, headers: dict[str, str], reflector: Reflector) -> tuple[str, str]:
    """Return status and a header of the answer to the first line of a request."""
    url = asked.split()[1]
    login, _, form = re.sub(r"^\w+://[^/]*/", "", url).partition("/")
    if asked.startswith("OPTIONS"):
        return "200 OK", "Public: DESCRIBE"
    if login.startswith("algorithm"):
        return "401 Unauthorized", f'WWW-Authenticate: Digest realm="camera", nonce="01", algorithm="{url}"'
    if login not in CHALLENGES:
        return f"404 not known: {asked}", ""
    if sent := headers.get("authorization"):
        return answer_to_login(form, sent, reflector)
    return "401 Unauthorized", f"WWW-Authenticate: {CHALLENGES[login]}"


def answer_to_login(form: str, sent: str, reflector: Reflector) -> tuple[str, str]:
    """Return status and a header of the answer to a request with the header `Authorization`."""
    reflector.digests |= set(re.findall(r'response="(\w+)"', sent))
    if form in OF_HEADERS:
        return f"404 {OF_HEADERS[form](sent)}", f"X-Authorization: {sent}"
    told = base64.b64decode(sent.split()[1]).decode()
    if form == "away":
        return "302 Found", f"Location: rtsp://{quote(told, safe='')}:1/{quote(told)}"
    return f"404 {OF_CREDENTIALS[form](told)}", f"X-Credentials: {told}"


@contextlib.contextmanager
def reflecting_camera() -> Iterator[Reflector]:
    """Run such a camera on loopback until the block ends."""
    reflector = Reflector()

    class Client(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                while asked := self.rfile.readline().decode().strip():
                    lines = iter(lambda: self.rfile.readline().decode().strip(), "")
                    pairs = (line.partition(":") for line in lines)
                    headers = {name.lower(): value.strip() for name, _, value in pairs}
                    status, header = answer(asked, headers, reflector)
                    lines_of_answer = [f"RTSP/1.0 {status}", f"CSeq: {headers['cseq']}", header]
                    self.wfile.write(("\r\n".join(filter(None, lines_of_answer)) + "\r\n\r\n").encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Client) as server:
        server.daemon_threads = True
        reflector.port = int(server.server_address[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield reflector
        server.shutdown()
