"""The kinds of settings: how the text of a variable becomes a value.

Each function takes the variable's name and its text, and returns the value. It raises SettingsError, which names the
variable and what was expected, for a text that it can't use.
"""

import os
import pwd
import re
import stat
import urllib.parse
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from heldar_mirror.errors import SettingsError

# Texts that would not survive in supervisord's files: ' ;' and ' #' begin a comment even inside quotes, an include is a
# pattern, '%(' is expanded twice in some values, and blanks at the end of a value are cut off.
UNSAFE_FOR_SUPERVISORD = re.compile(r" [;#]|[*?\[]|%\(| $")

# NUL and line breaks don't fit into a file of lines. Surrogates stand for bytes that are not UTF-8.
UNSAFE_FOR_A_LINE = re.compile("[\0\r\n\ud800-\udfff]")


def secret(name: str, text: str) -> str:
    """Return the text if it fits into one line. An error does not show it."""
    if UNSAFE_FOR_A_LINE.search(text):
        raise SettingsError(f"{name}: expected one line of text in UTF-8; its value is not shown")
    return text


def one_line(name: str, text: str) -> str:
    """Return the text if it has no line break and no control character."""
    if not text.isprintable():
        raise SettingsError(f"{name}={text!r}: expected one line of printable text")
    return text


def path(name: str, text: str) -> Path:
    """Return an absolute path without following links. A relative one is relative to the working directory."""
    return Path(os.path.abspath(_from_here(name, text)))  # noqa: PTH100 - resolve() would follow links


def _from_here(name: str, text: str) -> str:
    """Return a path that begins at the working directory unless it is absolute."""
    if one_line(name, text).startswith("/"):
        return text
    try:
        here = os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        raise SettingsError(
            f"{name}={text!r} begins at the working directory, which was removed: expected an absolute path"
        ) from None
    return one_line(name, f"{here}/{text}")


def plain_path(name: str, text: str) -> Path:
    """Return an absolute path that can be written into supervisord's files as it is."""
    plain = path(name, text)
    if UNSAFE_FOR_SUPERVISORD.search(str(plain)):
        raise SettingsError(f"{name}={text!r}: expected a path without '*', '?', '[', '%(', ' ;', ' #', or ' ' last")
    return plain


def database(name: str, url: str) -> Path:
    """Return the file of a URL as Heldar understands it: `sqlite:` or `sqlite://`, a percent-encoded path, `?options`.

    An error shows only the scheme, since the URL of a different kind of database holds a password.
    """
    scheme, _, rest = url.partition(":")
    file = urllib.parse.unquote(rest.removeprefix("//").partition("?")[0])
    if scheme != "sqlite" or not file or file == ":memory:":
        raise SettingsError(f"{name}={scheme[:20]}:…: expected sqlite:// and the path of a file")
    if not file.startswith("/") and (owner := _stranger_here()):
        raise SettingsError(
            f"{name}: a relative path begins at the working directory, which {owner} could have filled: expected an "
            "absolute path"
        )
    return Path(_from_here(name, file))


def _stranger_here() -> str | None:
    """Return who else could put a database into the working directory; None for root and this process's user."""
    with suppress(FileNotFoundError):
        here = Path().stat()
        if here.st_uid not in {0, os.geteuid()}:
            return f"user {here.st_uid}"
        if here.st_mode & stat.S_IWOTH:
            return "everybody"
    return None


def program(name: str, text: str) -> str:
    """Return the name of a program, which is looked for in PATH, or its absolute path.

    Programs are started in `/`, so a relative path would lead elsewhere.
    """
    if "/" in one_line(name, text) and not text.startswith("/"):
        raise SettingsError(f"{name}={text!r}: expected an absolute path, or a name that is found by PATH")
    return text


def boolean(name: str, text: str) -> bool:
    """Return whether the text means on."""
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off"}:
        return False
    raise SettingsError(f"{name}={text!r}: expected 1, true, yes, on, or 0, false, no, off")


def at_least(least: float) -> Callable[[str, str], float]:
    """Return the kind of setting that is a decimal number of `least` or more."""

    def number(name: str, text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]*)?", text) or float(text) < least:
            raise SettingsError(f"{name}={text!r}: expected a number, {least:g} or more")
        return float(text)

    return number


def prefix(name: str, text: str) -> str:
    """Return the prefix of our programs' names."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", text):
        raise SettingsError(f"{name}={text!r}: expected up to 40 letters, digits, '_' and '-'")
    return text


def user(name: str, text: str) -> str:
    """Return the name of a user that exists."""
    try:
        pwd.getpwnam(one_line(name, text))
    except KeyError:
        raise SettingsError(f"{name}={text!r}: expected the name of a user of this machine") from None
    return text


def umask(name: str, text: str) -> int:
    """Return a umask, given in octal digits."""
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise SettingsError(f"{name}={text!r}: expected three octal digits, such as 027")
    return int(text, 8)


def supervisor_url(name: str, text: str) -> str:
    """Return the URL of a supervisord's XML-RPC server. An error hides all before an '@', which may be a password."""
    if not text.isprintable() or not re.fullmatch(
        r"unix:///.+|http://([\w.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?/?(RPC2)?", text
    ):
        raise SettingsError(
            f"{name}=…{text.rpartition('@')[2][-40:]!a}: expected unix:///path/of/a/socket "
            "or http://host:port; a user and a password go into HELDAR_MIRROR_SUPERVISOR_USERNAME and …_PASSWORD"
        )
    return text
