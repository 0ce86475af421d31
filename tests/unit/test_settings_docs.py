"""What is written about the settings names the same variables as the table that they are parsed with."""

import re
from pathlib import Path

import pytest
from settings_docs import DOCS, with_tables

from heldar_mirror.setting_table import BY_NAME, SETTINGS
from heldar_mirror.settings import parse_settings

DEPLOY = Path(__file__).parents[2] / "deploy"
EXAMPLE = DEPLOY / "mirror.env"
# A variable of the role, such as heldar_mirror_user, is written in lower case.
NAME = re.compile(r"\bHELDAR_[A-Z_]*[A-Z]\b")
# A variable that is set in an env file, or commented out there.
LINE = re.compile(r"#?(HELDAR_[A-Z_]+)=(.*)")


def example() -> dict[str, str]:
    """The variables of deploy/mirror.env with their values, whether they are set there or commented out."""
    return {match[1]: match[2] for line in EXAMPLE.read_text().splitlines() if (match := LINE.fullmatch(line))}


def test_the_documentation_has_the_table_of_settings() -> None:
    """docs/settings.md holds each variable with its default and its meaning, once, as the script writes them."""
    text = DOCS.read_text()
    assert text == with_tables(text), f"{DOCS} is not what the table of settings gives: run script/settings-docs"
    rows = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert sorted(rows) == sorted(BY_NAME), f"{DOCS} lacks a table or its markers: see script/settings_docs.py"


def deployed() -> list[str]:
    """The files of deploy/, but for what Python or Ansible keep there."""
    paths = [path.relative_to(DEPLOY) for path in DEPLOY.rglob("*") if path.is_file()]
    return sorted(str(path) for path in paths if not any(part.startswith((".", "__")) for part in path.parts))


@pytest.mark.parametrize("name", deployed())
def test_what_is_deployed_names_no_unknown_setting(name: str) -> None:
    """The units, the role with its README and templates, and the example of an env file name known settings only."""
    unknown = set(NAME.findall((DEPLOY / name).read_text())) - BY_NAME.keys()
    assert not unknown, f"deploy/{name} names {', '.join(sorted(unknown))}, which heldar_mirror/setting_table.py lacks"


def test_the_example_of_an_env_file_has_each_setting_of_the_mirrors() -> None:
    """Each setting of the mirror's own that an env file can hold stands in deploy/mirror.env, and no other."""
    expected = {setting.name for setting in SETTINGS if setting.owner == "mirror" and setting.in_env_file}
    assert example().keys() == expected, f"{EXAMPLE}: give each setting of the mirror's own a line, commented out"


def test_the_example_of_an_env_file_shows_the_defaults() -> None:
    """A variable with a fixed default is commented out with that default; what is set there can be used."""
    shown = example()
    for setting in SETTINGS:
        if setting.default is not None and setting.name in shown:
            assert f"\n#{setting.name}={setting.default}\n" in EXAMPLE.read_text(), f"{EXAMPLE}: show the default so"
    parse_settings({name: value for name, value in shown.items() if name != "HELDAR_MIRROR_USER"})


def test_each_name_stands_once_in_the_table() -> None:
    """A second entry would hide the first. The names of the mirror's own variables begin in their own way."""
    assert len(SETTINGS) == len(BY_NAME)
    for setting in SETTINGS:
        assert setting.name.startswith("HELDAR_MIRROR_") == (setting.owner == "mirror")
