"""Hiding the secrets of a URL at the same length, for what `ps` shows of ffmpeg."""


def blot(url: str, secrets: "tuple[str, ...] | list[str]") -> str:
    """Return `url` with each byte of its secrets and its user information replaced by a star, at the same length."""
    found = []
    for secret in filter(None, secrets):
        at = url.find(secret)
        while at >= 0:
            found.append((at, at + len(secret)))
            at = url.find(secret, at + 1)
    for start, end in reversed(merged(found)):
        url = url[:start] + "*" * len(url[start:end].encode()) + url[end:]
    start = url.find("://") + 3
    end = next((i for i in range(start, len(url)) if url[i] in "/'\""), len(url))
    at = max(url.rfind("@", start, end), start)
    return url[:start] + "*" * len(url[start:at].encode()) + url[at:]


def merged(spans: "list[tuple[int, int]]") -> "list[tuple[int, int]]":
    """Return spans in order, and overlapping ones as one."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start < found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found
