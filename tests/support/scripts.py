"""Scripts that stand in for a program."""

from pathlib import Path


def script(path: Path, text: str) -> str:
    """Write a script that can be run, in a directory made if it is missing. Return its path."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)
