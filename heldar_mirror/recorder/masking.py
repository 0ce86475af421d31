"""Taking secrets out of texts, in whatever form a camera repeats them, and whatever ffmpeg made of their URL.

A recorder imports this only when an ffmpeg has ended.
"""

from .blotting import merged

MASK = b"***"

# ffmpeg splits a URL at these. If a password holds one as it is, ffmpeg takes a part of it for a host, a port or a
# path.
DELIMITERS = b"/?#@:[]"

# A part of a secret is masked anywhere if it has at least so many bytes. A shorter one, which many a word may hold, is
# masked where ffmpeg tells of hosts and URLs.
PART_BYTES = 4
HOST_FOLLOWS = (b"://", b"hostname ")
HOST_ENDS = b" \t\r\n'\","

# The parts grow with the square of the number of delimiters at which a secret is split.
MAX_SPLITS = 16

# A search ends after so many steps, which take a second or two: a password such as `====` may begin at each byte of
# what a camera says, and the recorder must stop in time.
MAX_STEPS = 500_000

# ffmpeg cuts off what a camera says after 200 bytes, and its own lines after 1,024, perhaps in the middle of a secret
# and of the code of a character.
CUT_BYTES = 200
CODE_BYTES = 6

# A digest, such as the response to a challenge, has at least so many hexadecimal digits: a password can be found by it.
# One that is cut off still helps.
DIGEST_DIGITS = 32
CUT_DIGEST_DIGITS = 8

# These names have their values masked. With each is what must stand between the two, and what ends the value.
NAMED = ((b"authorization", b":=", b"\r\n"), (b"response", b"=", b" \t\r\n\"',;&<>|"))
QUOTES = b" \t\"'"

HEX = b"0123456789ABCDEFabcdef"
BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="
ENTITIES = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'"}


def mask(text: str, secrets: "tuple[str, ...] | list[str]" = ()) -> str:
    """Return `text` without credentials.

    Each of `secrets` is masked wherever it occurs: as it is; with any of its bytes percent-encoded, quoted-printable,
    or written as in JSON, HTML or Python, and over several lines; in Base64, also as a part of a longer text; and its
    parts that a URL may have been split into. So are values of `Authorization` and `response`, and whatever looks like
    a digest. Then, after every `://`, everything up to the last `@` of the authority is replaced; the authority ends at
    the next `/`, white space or quote. Other text stays as it is, unless the search takes too long: then all is masked.
    """
    reading = Reading(text.encode("utf-8", "surrogatepass"))
    try:
        spans = _spans(reading, secrets)
    except TooLongError:
        return MASK.decode()
    data = reading.data
    for start, end in reversed(merged([reading.whole(*span) for span in spans])):
        data = data[:start] + MASK + data[end:]
    return without_user_information(data.decode("utf-8", "surrogatepass"))


class TooLongError(Exception):
    """The search for secrets takes more than MAX_STEPS."""


def _spans(reading: "Reading", secrets: "tuple[str, ...] | list[str]") -> "list[tuple[int, int]]":
    """Return the spans of what must be masked. Raises TooLongError."""
    spans = [*reading.named(), *reading.digests()]
    if known := {form for secret in secrets if secret for form in encodings(secret)}:
        parts = split_parts(known)
        known |= {part for part in parts if len(part) >= PART_BYTES}
        spans += [*reading.hosts(parts), *reading.all_of(known)]
        for start, end in reading.all_of({form for secret in known for form in base64_forms(secret)}):
            # The letters next to it depend on the secret and on its neighbours.
            spans.append((start - reading.is_base64(start - 1), end + reading.is_base64(end)))
    return spans


def without_user_information(text: str) -> str:
    """Return `text` with the user information of its URLs masked."""
    head, separator, rest = text.partition("://")
    parts = [head]
    while separator:
        end = next((i for i, c in enumerate(rest) if c in "/'\"" or c.isspace()), len(rest))
        at = rest.rfind("@", 0, end)
        if at >= 0:
            rest = "***" + rest[at:]
        head, next_separator, rest = rest.partition("://")
        parts += [separator, head]
        separator = next_separator
    return "".join(parts)


# The functions below say what to look for.


def encodings(secret: str) -> "set[bytes]":
    """Return a secret in UTF-8, and in Latin-1, of which other bytes were decoded as lone surrogates."""
    found = {secret.encode("utf-8", "surrogatepass")}
    if len(secret) >= PART_BYTES and not secret.isascii() and all(ord(character) < 0x100 for character in secret):
        latin = secret.encode("latin-1")
        found |= {latin, latin.decode(errors="surrogateescape").encode("utf-8", "surrogatepass")}
    return found


def split_parts(secrets: "set[bytes]") -> "set[bytes]":
    """Return the parts that a wrong split of a URL may make of secrets. A user name is none."""
    found = set()
    for secret in secrets:
        user, _, password = secret.partition(b":")
        begin = start = len(user) + 1 if password in secrets else 0
        splits = [at for at in range(begin, len(secret)) if secret[at] in DELIMITERS]
        for at in splits[:MAX_SPLITS]:
            found |= {secret[:at], secret[begin:at], secret[at + 1 :]}
        for at in splits:
            found.add(secret[start:at])
            start = at + 1
    return found - {b""}


def base64_forms(secret: bytes) -> "set[bytes]":
    """Return what all texts that hold `secret` have in common in Base64, in both of its alphabets.

    That depends on how many bytes precede the secret. It is too little of a secret of less than PART_BYTES.
    """
    found = set()
    if len(secret) >= PART_BYTES:
        for before in range(3):
            first, last = (8 * before + 5) // 6, 8 * (before + len(secret)) // 6
            form = base64(bytes(before) + secret)[first:last]
            found |= {form, form.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def base64(data: bytes) -> bytes:
    """Return data in Base64, with zeros at the end to a multiple of three bytes. The module `base64` costs memory."""
    found = bytearray()
    for at in range(0, len(data), 3):
        bits = int.from_bytes(data[at : at + 3].ljust(3, b"\0"), "big")
        found += bytes([BASE64[bits >> 18], BASE64[bits >> 12 & 63], BASE64[bits >> 6 & 63], BASE64[bits & 63]])
    return bytes(found)


# The class below reads a text in all ways at once.


def code_at(data: bytes, at: int) -> "list[tuple[bytes, int]]":
    """Return what the code at a place may stand for, and its length; nothing if there is none.

    A broken line stands for no bytes, and a `+` for a blank.
    """
    first, rest = data[at : at + 1], data[at + 1 : at + 12]
    if first == b"&":
        return entity(rest.partition(b";")[0]) if b";" in rest else []
    if first == b"\\":
        return escape(rest)
    if first == b"+":
        return [(b" ", 1)]
    if first in b"\r\n" or (first == b"=" and rest[:1] in {b"\r", b"\n"}):
        return [(b"", 1)]
    return [(bytes([int(rest[:2], 16)]), 3)] if is_hex(rest[:2], 2) else []


def entity(name: bytes) -> "list[tuple[bytes, int]]":
    """Return what an entity of HTML stands for, given what is between `&` and `;`."""
    length = len(name) + 2
    if name in ENTITIES:
        return [(ENTITIES[name], length)]
    if name[:2].lower() == b"#x" and is_hex(name[2:], len(name) - 2):
        return [(utf8(int(name[2:], 16)), length)]
    return [(utf8(int(name[1:])), length)] if name[:1] == b"#" and name[1:].isdigit() else []


def escape(rest: bytes) -> "list[tuple[bytes, int]]":
    r"""Return what an escape of JSON or Python may stand for, given what follows its backslash."""
    digits = {b"x": 2, b"u": 4, b"U": 8}.get(rest[:1], 0)
    if not digits:
        return [] if rest[:1].isalnum() else [(rest[:1], 2)]
    if not is_hex(rest[1 : 1 + digits], digits):
        return []
    code, low = int(rest[1 : 1 + digits], 16), rest[7:11]
    if digits == 4 and 0xD800 <= code < 0xDC00 and rest[5:7] == b"\\u" and is_hex(low, 4):
        return [(utf8(0x10000 + ((code & 0x3FF) << 10 | int(low, 16) & 0x3FF)), 12)]
    # To C and to Python \xfc is a byte, and to others a character.
    return [(utf8(code), digits + 2), *([(bytes([code]), 4)] if digits == 2 else [])]


def is_hex(data: bytes, count: int) -> bool:
    """Return whether there are so many hexadecimal digits, and nothing else."""
    return len(data) == count > 0 and not data.strip(HEX)


def utf8(code: int) -> bytes:
    """Return a character in UTF-8, or no bytes if there is none of this number."""
    return chr(code).encode("utf-8", "surrogatepass") if code < 0x110000 else b""


class Reading:
    """A text in UTF-8, of which each byte may be itself, or begin a code that stands for something else."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._steps = MAX_STEPS
        self._codes: dict[int, list[tuple[bytes, int]]] = {}
        for mark in b"%=+&\\\r\n":
            at = data.find(mark)
            while at >= 0:
                if codes := code_at(data, at):
                    self._codes[at] = codes
                at = data.find(mark, at + 1)
        # This has for each place where the next code begins.
        self._next_code = [len(data)] * (len(data) + 1)
        for at in range(len(data) - 1, -1, -1):
            self._next_code[at] = at if at in self._codes else self._next_code[at + 1]
        # This has for each place where its line ends if that may have been cut off.
        self._cut: list[int] = []
        for line in data.split(b"\n"):
            end = len(self._cut) + len(line)
            self._cut += [end if len(line) >= CUT_BYTES else -1] * (len(line) + 1)
        # This has for each byte where it may be, as itself or as a code's first one.
        self._starts: dict[int, list[int]] = {}
        for at, byte in enumerate(data):
            self._starts.setdefault(byte, []).append(at)
        for at, codes in self._codes.items():
            for chunk, _ in codes:
                if chunk:
                    self._starts.setdefault(chunk[0], []).append(at)

    def whole(self, start: int, end: int) -> "tuple[int, int]":
        """Return a span widened to whole characters, since Latin-1 may be found within one."""
        while self.data[start] & 0xC0 == 0x80:
            start -= 1
        while end < len(self.data) and self.data[end] & 0xC0 == 0x80:
            end += 1
        return start, end

    def is_base64(self, at: int) -> bool:
        """Return whether there is a letter of Base64 at a place."""
        return 0 <= at < len(self.data) and self.data[at] in BASE64

    def all_of(self, patterns: "set[bytes]") -> "list[tuple[int, int]]":
        """Return the spans of all that stands for one of the patterns. Raises TooLongError."""
        found = []
        for pattern in patterns:
            for at in self._starts.get(pattern[0], ()):
                end = self._match(pattern, at)
                if end > at:
                    found.append((at, end))
        return found

    def _match(self, pattern: bytes, at: int) -> int:
        """Return where a pattern ends that begins at a place, or -1 if none does there. Raises TooLongError."""
        states = [(at, 0)]
        seen = set(states)
        while states:
            place, done = states.pop()
            self._steps -= 1
            if self._steps < 0:
                raise TooLongError
            count = min(self._next_code[place] - place, len(pattern) - done)
            if self._cut[place] >= 0 and self._is_cut(pattern, place, done):
                return self._cut[place]
            if not self.data.startswith(pattern[done : done + count], place):
                continue
            place, done = place + count, done + count
            if done == len(pattern):
                return place
            for chunk, length in [*self._codes.get(place, ()), (self.data[place : place + 1], 1)]:
                state = place + length, done + len(chunk)
                if pattern.startswith(chunk, done) and state not in seen and state[0] <= len(self.data):
                    seen.add(state)
                    states.append(state)
        return -1

    def _is_cut(self, pattern: bytes, place: int, done: int) -> bool:
        """Return whether a pattern, matched so far, goes on to the end of its line, which was cut off there."""
        left = self._cut[place] - place
        count = max(left - CODE_BYTES, PART_BYTES - done, 0)
        return count <= min(left, len(pattern) - done) and self.data.startswith(pattern[done : done + count], place)

    def hosts(self, parts: "set[bytes]") -> "list[tuple[int, int]]":
        """Return the spans of parts of secrets, however short, that ffmpeg took for a part of a URL."""
        found = []
        for before in HOST_FOLLOWS:
            at = self.data.find(before)
            while at >= 0:
                start = end = at + len(before)
                while end < len(self.data) and self.data[end] not in HOST_ENDS:
                    end += 1
                    if end == len(self.data) or self.data[end] in DELIMITERS or self.data[end] in HOST_ENDS:
                        if self.data[start:end] in parts:
                            found.append((start, end))
                        start = end + 1
                # What follows another `://` on the way was looked at.
                at = self.data.find(before, end - len(before) + 1)
        return found

    def named(self) -> "list[tuple[int, int]]":
        """Return the spans of the values of what has a name in NAMED."""
        found, lower = [], self.data.lower()
        for name, separators, ends in NAMED:
            at, end = lower.find(name), 0
            while at >= 0:
                after = self._skip(at + len(name), QUOTES)
                start = self._skip(after, separators)
                if start > after:
                    start = self._skip(start, QUOTES)
                    end = max(start, end)  # a value within another one ends with it
                    while end < len(self.data) and self._skip(end, ends) == end:
                        end += 1
                    found.append((start, end))
                at = lower.find(name, at + 1)
        return [(start, end) for start, end in found if start < end]

    def _skip(self, at: int, skipped: bytes) -> int:
        """Return the place after all that stands for one of these bytes, from a place on."""
        while at < len(self.data):
            lengths = [length for chunk, length in self._codes.get(at, ()) if chunk and chunk in skipped]
            if self.data[at] in skipped:
                at += 1
            elif lengths:
                at += lengths[0]
            else:
                break
        return at

    def digests(self) -> "list[tuple[int, int]]":
        """Return the spans of what has enough hexadecimal digits for a digest."""
        found, end = [], 0
        digits = self.data.translate(bytes(byte if byte in HEX else 32 for byte in range(256)))
        for word in digits.split():
            start = digits.find(word, end)
            end = start + len(word)
            is_cut = 0 <= self._cut[end] - end < CODE_BYTES
            if len(word) >= (CUT_DIGEST_DIGITS if is_cut else DIGEST_DIGITS):
                found.append((start, end))
        return found
