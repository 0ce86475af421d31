"""Taking secrets out of texts."""


def spans_of_secrets(text: str, secrets: "tuple[str, ...] | list[str]") -> "list[tuple[int, int]]":
    """Return the start and end of each secret in `text`, in order. Overlapping ones are merged, to be hidden whole."""
    found = []
    for secret in filter(None, secrets):
        at = text.find(secret)
        while at >= 0:
            found.append((at, at + len(secret)))
            at = text.find(secret, at + 1)
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def mask(text: str, secrets: "tuple[str, ...] | list[str]" = ()) -> str:
    """Return `text` without credentials.

    Each of `secrets` is replaced wherever it occurs. Then, after every `://`, everything up to the last `@` of the
    authority is replaced; the authority ends at the next `/`, white space or quote. Other text stays as it is.
    """
    for start, end in reversed(spans_of_secrets(text, secrets)):
        text = f"{text[:start]}***{text[end:]}"
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


def blot(url: str, secrets: "tuple[str, ...] | list[str]") -> str:
    """Return `url` with each byte of its secrets and its user information replaced by a star, at the same length."""
    for start, end in reversed(spans_of_secrets(url, secrets)):
        url = url[:start] + "*" * len(url[start:end].encode()) + url[end:]
    start = url.find("://") + 3
    end = next((i for i in range(start, len(url)) if url[i] in "/'\""), len(url))
    at = max(url.rfind("@", start, end), start)
    return url[:start] + "*" * len(url[start:at].encode()) + url[at:]
