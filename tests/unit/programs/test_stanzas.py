"""The programs file."""

import shlex

from hypothesis import given
from hypothesis import strategies as st
from supervisor.options import UnhosedConfigParser
from support.examples import settings

from heldar_mirror.programs.stanzas import command_line, render_programs


@given(st.lists(st.text(st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"]) | st.sampled_from(" ;#%'\"\\"))))
def test_any_arguments_survive_supervisords_reading(args: list[str]) -> None:
    """What is printable comes out of its parser, its expansion and its splitting as it went in."""
    parser = UnhosedConfigParser()
    line = command_line("setpriv", *args).replace("%", "%%")
    parser.read_string(f"[program:x]\ncommand={line}\n")
    assert shlex.split(parser.saneget("program:x", "command")) == ["setpriv", *args]


def test_no_camera_no_stanza() -> None:
    """A file without programs is one that supervisord can include."""
    assert "[" not in render_programs({}, settings())
