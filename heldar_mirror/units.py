"""Sizes and lengths of time, written for people."""


def shown_size(size: float) -> str:
    """Return a size in bytes in the unit that suits it, such as 512 B or 1.5 GiB."""
    for unit in ("B", "KiB", "MiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB" if size < 1024 else f"{size / 1024:.1f} TiB"


def shown_span(seconds: float) -> str:
    """Return a number of seconds in its one or two largest units, such as 7s, 3m12s, 5h03m or 2d04h."""
    total = max(int(seconds), 0)
    minutes, rest = divmod(total, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"
