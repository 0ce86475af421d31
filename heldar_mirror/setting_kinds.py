"""The kinds of settings: how the text of a variable becomes a value.

Each function takes the variable's name and its text. It returns the value, or raises SettingsError, whose text names
the variable and says what was expected.
"""

import os
import pwd
import re
import urllib.parse
from collections.abc import Callable
from pathlib import Path

from heldar_mirror.errors import SettingsError

# In supervisord's files, ' ;' and ' #' begin a comment even inside quotes, an include is a pattern, some values have
# their '%(' expanded twice, and blanks at the end of a value are cut off.
AWKWARD = re.compile(r" [;#]|[*?\[]|%\(| $")


def verbatim(_: str, text: str) -> str:
    """Return the text as it is."""
    return text


def one_line(name: str, text: str) -> str:
    """Return a text that holds no line break and no control character."""
    if not text.isprintable():
        raise SettingsError(f"{name}={text!r}: expected one line of printable text")
    return text


def path(name: str, text: str) -> Path:
    """Return an absolute path; a relative one begins at the working directory. Links are not followed."""
    return Path(os.path.abspath(one_line(name, text)))  # noqa: PTH100 - resolve() would follow links


def plain_path(name: str, text: str) -> Path:
    """Return an absolute path that supervisord's files can hold."""
    plain = path(name, text)
    if AWKWARD.search(str(plain)):
        raise SettingsError(f"{name}={text!r}: expected a path without '*', '?', '[', '%(', ' ;', ' #', or ' ' last")
    return plain


def database(name: str, url: str) -> Path:
    """Return the file of a URL as Heldar understands it: `sqlite:` or `sqlite://`, a percent-encoded path, `?options`.

    An error shows no more of the URL than its scheme, since another database's URL holds a password.
    """
    scheme, _, rest = url.partition(":")
    file = urllib.parse.unquote(rest.removeprefix("//").partition("?")[0])
    if scheme != "sqlite" or not file or file == ":memory:":
        raise SettingsError(f"{name}={scheme[:20]}:…: expected sqlite:// and the path of a file")
    return Path(one_line(name, file)).absolute()


def boolean(name: str, text: str) -> bool:
    """Return whether a switch is on."""
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off"}:
        return False
    raise SettingsError(f"{name}={text!r}: expected 1, true, yes, on, or 0, false, no, off")


def at_least(least: float) -> Callable[[str, str], float]:
    """Return the kind of a decimal number of `least` or more."""

    def number(name: str, text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]*)?", text) or float(text) < least:
            raise SettingsError(f"{name}={text!r}: expected a number, {least:g} or more")
        return float(text)

    return number


def prefix(name: str, text: str) -> str:
    """Return the beginning of our programs' names."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", text):
        raise SettingsError(f"{name}={text!r}: expected up to 40 letters, digits, '_' and '-'")
    return text


def user(name: str, text: str) -> str:
    """Return the name of a user that exists."""
    try:
        pwd.getpwnam(text)
    except KeyError:
        raise SettingsError(f"{name}={text!r}: expected the name of a user of this machine") from None
    return text


def umask(name: str, text: str) -> int:
    """Return a umask."""
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise SettingsError(f"{name}={text!r}: expected three octal digits, such as 027")
    return int(text, 8)


def supervisor_url(name: str, text: str) -> str:
    """Return the URL of a supervisord's XML-RPC server. An error hides what may be a password: all before an '@'."""
    if not re.fullmatch(r"unix:///.+|http://([\w.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?/?(RPC2)?", text):
        raise SettingsError(
            f"{name}=…{text.rpartition('@')[2][-40:]!a}: expected unix:///path/of/a/socket "
            "or http://host:port; a user and a password go into HELDAR_MIRROR_SUPERVISOR_USERNAME and …_PASSWORD"
        )
    return text
