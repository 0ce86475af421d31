"""The headings of docs/troubleshooting.md are the beginnings of messages: each of one that the code still has, and each
message that needs an explanation has its heading.

Messages are read from the source: literals and f-strings, in which `…` stands for whatever a message fills in.
"""

import ast
import itertools
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
from support import TREE

PAGE = TREE / "docs/troubleshooting.md"
PACKAGE = TREE / "heldar_mirror"

# Errors whose messages are explained. Those about a setting (SettingsError) and a camera's row (CameraError) say what
# was expected, and need no more.
EXPLAINED = {
    *("MirrorError", "DatabaseError", "HungError", "StateError", "SupervisordError", "VolumeError"),
    *("UnreadableError", "GoneError"),
    *("RestoreError", "NoRoomError", "DirectoryError", "ExistsError", "DifferentError"),
    *("RefusedError",),
}
# Methods that are given a problem which is not raised: the watcher's and the pruner's.
REPORTING = {"note", "problem", "shortage", "add_problem", "add_shortage"}
# Messages that say themselves what is wrong and what to do, by their beginnings.
SELF_EXPLANATORY = (
    "HELDAR_MIRROR_RECORDINGS_DIR is not set any more",
    "cannot publish the status: …. See HELDAR_MIRROR_STATUS_DIR",
    "cannot read the programs' logs: …",
    "heldar-mirror up is running already on …",
    "it is not a file",
    "mirror root … was never recorded to by this instance: nothing to prune",
    "mirror root … was never recorded to by this instance: nothing to restore",
    "something else was mounted at … just now",
    "supervisord at … is shutting down",
    "the primary's … is not what the mirror has: …. See dmesg for faults of its disk, delete the file, and",
    "the …'s recording … is not there any more",
    "the watcher does not run",
    "the watcher has ended",
    "… of the … was changed while it was read: verify it again",
)


def headings() -> list[str]:
    return re.findall(r"^### (.+)$", PAGE.read_text(), re.MULTILINE)


def begins(heading: str) -> re.Pattern[str]:
    """What begins as a heading says, or does so after the camera. Only its own `…` matches what a message fills in."""
    return re.compile("(…: )?" + ".*".join(map(re.escape, heading.split("…"))), re.DOTALL)


@cache
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


def scopes(tree: ast.Module) -> Iterator[tuple[ast.stmt, dict[str, list[ast.expr]]]]:
    """Each function, method and other statement of a module, with the texts that the names in it may have."""
    shared = local_texts(tree.body)
    for statement in tree.body:
        for part in statement.body if isinstance(statement, ast.ClassDef) else [statement]:
            yield part, shared | local_texts(ast.walk(part))


def local_texts(nodes: Iterable[ast.AST]) -> dict[str, list[ast.expr]]:
    """The texts that are given to names."""
    texts: dict[str, list[ast.expr]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and is_text(node.value):
            texts.setdefault(node.targets[0].id, []).append(node.value)
    return texts


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def texts_of(node: ast.AST, names: dict[str, list[ast.expr]]) -> Iterator[str]:
    """Return the texts that an expression may give, as far as they are written in it: one for each way through it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield re.sub(r"\{\w+\}", "…", node.value)  # a text to be given to str.format()
    elif isinstance(node, ast.JoinedStr):
        pieces = [list(texts_of(value, names)) for value in node.values]
        yield from map("".join, itertools.product(*pieces))
    elif isinstance(node, ast.FormattedValue):
        yield from texts_of(node.value, names)
    elif isinstance(node, ast.Name) and node.id in names:
        others = {name: texts for name, texts in names.items() if name != node.id}
        for text in names[node.id]:
            yield from texts_of(text, others)
    elif isinstance(node, ast.IfExp):
        yield from texts_of(node.body, names)
        yield from texts_of(node.orelse, names)
    else:
        yield "…"


@cache
def all_texts() -> frozenset[str]:
    """Every text in the package."""
    return frozenset(
        text
        for tree in trees().values()
        for scope, names in scopes(tree)
        for node in ast.walk(scope)
        if is_text(node)
        for text in texts_of(node, names)
    )


@cache
def messages() -> dict[str, str]:
    """Each message that is raised as one of the errors above, or reported as a problem, and where.

    One that begins with what is filled in is left out: mostly it passes on a different message.
    """
    found: dict[str, str] = {}
    for path, tree in trees().items():
        for scope, names in scopes(tree):
            for node in ast.walk(scope):
                if isinstance(node, ast.Call) and node.args and is_reporting(node.func):
                    where = f"{path.relative_to(TREE)}:{node.lineno}"
                    found |= {text: where for text in texts_of(node.args[-1], names) if not text.startswith("…")}
    return found


def is_reporting(function: ast.expr) -> bool:
    """Whether calling it makes an error, or reports a problem."""
    if isinstance(function, ast.Attribute):
        return function.attr in EXPLAINED or function.attr.strip("_") in REPORTING
    return isinstance(function, ast.Name) and function.id in EXPLAINED


def test_the_page_has_headings() -> None:
    """The page is read in the form that it has."""
    assert len(headings()) > 30
    assert len(headings()) == len(set(headings()))


@pytest.mark.parametrize("heading", headings())
def test_a_heading_is_the_beginning_of_a_message(heading: str) -> None:
    """No page explains a message that nobody can meet."""
    pattern = begins(heading)
    assert any(pattern.match(text) for text in all_texts()), (
        f"No text in heldar_mirror/ begins like the heading {heading!r} of docs/troubleshooting.md. "
        "Was the message reworded? Then reword the heading; '…' in it stands for what the message fills in."
    )


def test_a_message_has_its_heading() -> None:
    """Whoever meets an error or a problem finds it on the page, unless it says itself what to do."""
    known = [begins(text) for text in (*headings(), *SELF_EXPLANATORY)]
    strangers = [
        f"{where}: {text}" for text, where in messages().items() if not any(pattern.match(text) for pattern in known)
    ]
    assert not strangers, (
        "Give each of these a heading in docs/troubleshooting.md, or add its beginning to SELF_EXPLANATORY here if it "
        "says what is wrong and what to do:\n" + "\n".join(strangers)
    )


@pytest.mark.parametrize("text", SELF_EXPLANATORY)
def test_what_needs_no_explanation_is_still_a_message(text: str) -> None:
    """The list does not outlive the messages."""
    assert any(begins(text).match(message) for message in all_texts()), f"No text in heldar_mirror/ begins: {text!r}"
