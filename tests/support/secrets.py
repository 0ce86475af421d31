"""Secrets that are easy to find wherever they are shown, and the search for them."""

import base64
import contextlib
import html
import json
import re
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

from heldar_mirror.env_file import escape_env
from support.examples import KEY
from support.mirror import USER, Mirror

OTHER_KEY = base64.b64encode(bytes(32)).decode()


def made_up(name: str, middle: str) -> str:
    """Return a password whose two ends occur nowhere else: output that holds a part of it holds one of them."""
    return f"quokka-{name}{middle}wombat-{name}"


# Heldar encodes passwords that it builds into a URL; in an explicit URL they may be raw. A raw '/', '#' or '?' ends
# what ffmpeg takes for the user information, and a raw quote ends what a mask takes for it.
ENCODED = {"of_urls": "@/:?#&=", "of_texts": "' %%41\"+;", "of_letters": "üЖ日"}
RAW = {"raw_slash": "/@", "raw_hash": "#:@?", "raw_quote": "'@\"", "raw_letters": "ü@%41:&Ж"}

# The password of the camera that answers.
RIGHT = made_up("right", "@/:' %#?&+\"ü")

PASSWORDS = {
    "right": RIGHT,
    **{name: made_up(name, middle) for name, middle in (ENCODED | RAW).items()},
    **{
        name: made_up(name, "@/:'ü")
        for name in ("wrong", "sealed_wrong", "query", "path", "new", "newer", "newest", "late", "unwanted", "token")
    },
    **{name: made_up(name, "@ /") for name in ("other_key", "white", "scheme", "blob", "no_text", "long", "vague")},
    "supervisor": made_up("supervisor", "@:%"),
    # In Base64 this has letters in which the alphabets differ.
    "reflected": made_up("reflected", "@~/:'ÿ?>&=+ %41"),
}


def forms(secret: str) -> set[bytes]:
    """Return the forms of a secret that must not be found: itself, and as it looks in a URL, in JSON, in a repr or in
    XML."""
    codes = {quote(secret, safe=safe) for safe in ("", "/", "/:@'")} | {quote_plus(secret)}
    codes |= {re.sub("%..", lambda code: code[0].lower(), text) for text in codes}
    texts = {secret, *codes, json.dumps(secret)[1:-1], repr(secret)[1:-1], html.escape(secret), escape_env(secret)}
    return {text.encode() for text in texts} | {base64.b64encode(f"{USER}:{secret}".encode())}


KEY_BYTES = base64.b64decode(KEY)


def parts(word: str) -> set[bytes]:
    """Return a part of a password as it is, with each byte encoded, and what all Base64 that holds it has in common."""
    codes = {f"{sign}%02{case}" for sign in ("%%", "=") for case in "xX"}
    found = {"".join(code % byte for byte in word.encode()).encode() for code in codes}
    for before in range(3):
        coded = base64.b64encode(b"?" * before + word.encode() + b"??")
        found.add(coded[(4 * before + 2) // 3 : (before + len(word)) * 4 // 3])
    return found | {word.encode()}


SECRETS = sorted(
    set[bytes]().union(*map(forms, (*PASSWORDS.values(), KEY)), *map(parts, ("quokka", "wombat")))
    | {KEY_BYTES, KEY_BYTES.hex().encode(), base64.urlsafe_b64encode(KEY_BYTES)}
)


def leaks(texts: Mapping[str, bytes]) -> list[str]:
    """Return where a secret was found, which one, and the text around it."""
    return [
        f"{name}: {secret!r} in {text[max(0, text.find(secret) - 200) : text.find(secret) + 100]!r}"
        for name, text in texts.items()
        for secret in SECRETS
        if secret in text
    ]


def shown(*results: "subprocess.CompletedProcess[str]") -> dict[str, bytes]:
    return {" ".join(result.args[-3:]): (result.stdout + result.stderr).encode() for result in results}


def modes(top: Path) -> dict[Path, tuple[str, str]]:
    """Return owner and mode of a directory and all in it, such as `("root", "drwx------")`."""
    found = {}
    for path in (top, *top.rglob("*")):
        with contextlib.suppress(FileNotFoundError):  # a new file that is about to be renamed
            found[path] = path.owner(), stat.filemode(path.lstat().st_mode)
    return found


def with_key(mirror: Mirror) -> None:
    """Give all commands the key, a second secret, and a directory of their own for temporary files."""
    (mirror.home / "tmp").mkdir()
    (mirror.home / "tmp").chmod(0o1777)
    mirror.env |= {
        "TMPDIR": str(mirror.home / "tmp"),
        "HELDAR_SECRET_KEY": KEY,
        "HELDAR_MIRROR_SUPERVISOR_PASSWORD": PASSWORDS["supervisor"],
    }
