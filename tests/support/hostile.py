"""A text that would do more to a terminal than to be shown, and the search for its effect."""

import re

# It sets the title, a colour that we don't use, and the direction of writing, clears the screen by a code of one byte,
# and begins a line that looks like ours.
FORGED = "heldar-mirror: all is well"
HOSTILE = f"x\x1b]0;title\x07\x1b[95my\u202e\x9b2J\x7f\x00\u2028\r\n{FORGED}"


def is_harmless(text: str, breaks: str = "") -> bool:
    """Return whether a text holds nothing but printable characters, colours that we use, and these line breaks."""
    plain = re.sub(r"\x1b\[(0|1|2|3[0-7])m", "", text)
    return all(c.isprintable() or c in breaks for c in plain)
