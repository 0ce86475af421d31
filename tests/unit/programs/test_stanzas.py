"""Quoting for supervisord, and the programs file of no camera."""

import shlex

from hypothesis import given
from hypothesis import strategies as st
from supervisor.options import UnhosedConfigParser
from support.examples import settings

from heldar_mirror.programs.stanzas import command_line, render_programs


@given(st.lists(st.text(st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"]) | st.sampled_from(" ;#%'\"\\"))))
def test_supervisord_reads_any_arguments_back(args: list[str]) -> None:
    """Printable arguments are unchanged by supervisord's parsing, expansion and splitting."""
    parser = UnhosedConfigParser()
    line = command_line("setpriv", *args).replace("%", "%%")
    parser.read_string(f"[program:x]\ncommand={line}\n")
    assert shlex.split(parser.saneget("program:x", "command")) == ["setpriv", *args]


def test_no_camera_no_stanza() -> None:
    """Without cameras the programs file has no section, and supervisord can still include it."""
    assert "[" not in render_programs({}, settings())
