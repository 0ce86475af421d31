"""Write the tables of docs/settings.md from the table of settings in heldar_mirror/setting_table.py."""

import re
from pathlib import Path

from heldar_mirror.setting_table import SETTINGS, Setting

DOCS = Path(__file__).parent.parent / "docs/settings.md"
# The lines between which the table of the variables of one owner stands.
TABLE = re.compile(r"(<!-- variables: (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def with_tables(text: str) -> str:
    """Return the text of docs/settings.md with its tables replaced by those that the settings give."""
    return TABLE.sub(lambda match: match[1] + _table(match[2]) + match[3], text)


def _table(owner: str) -> str:
    rows = [_row(setting) for setting in SETTINGS if setting.owner == owner]
    return "".join(["\n| variable | default | meaning |\n|---|---|---|\n", *rows, "\n"])


def _row(setting: Setting) -> str:
    default = setting.shown_default if setting.default is None else f"`{setting.default}`"
    return f"| `{setting.name}` | {default} | {setting.meaning} |\n"


if __name__ == "__main__":
    DOCS.write_text(with_tables(DOCS.read_text()))
