"""The format of a launch spec, which says what the recorder of one camera runs, and where.

It is a file of `key=value` lines:

    generation  a number that is greater after each change
    camera      the camera's id
    root        the mirror root, which must hold the marker of `volume`
    volume      the volume's id
    directory   the camera's directory, a child of the root
    secret      a text that must never be shown; any number of these lines
    url         the URL that is recorded
    arg         one argument of ffmpeg's command line, which begins with ffmpeg itself; any number of these lines. The
                recorder appends what it reads from ffmpeg, and where ffmpeg writes.
"""

# Heldar's own default.
DEFAULT_SECONDS = 60.0

FIELDS = ("generation", "camera", "root", "volume", "directory", "secret", "url", "arg")


def parse_spec(text: str) -> "dict[str, list[str]]":
    """Return the fields of a launch spec's text, each with its values in order. Raises ValueError if it is not one."""
    spec: dict[str, list[str]] = {field: [] for field in FIELDS}
    for number, line in enumerate(text.split("\n"), 1):
        key, equals, value = line.partition("=")
        if equals and key in spec:
            spec[key].append(value)
        elif line:
            raise ValueError(f"line {number} is none of a launch spec")
    for field in ("generation", "camera", "root", "volume", "directory", "url", "arg"):
        if not spec[field]:
            raise ValueError(f"a launch spec without {field}")
    if "\0" in text and any("\0" in value for field in FIELDS if field != "secret" for value in spec[field]):
        raise ValueError("a NUL character, which no path and no argument can hold")
    return spec


def segment_seconds(spec: "dict[str, list[str]]") -> float:
    """Return the length of the camera's segments, in seconds."""
    args = spec["arg"]
    length = args[args.index("-segment_time") + 1] if "-segment_time" in args[:-1] else ""
    return float(length) if length.isdecimal() else DEFAULT_SECONDS
