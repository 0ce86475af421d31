"""What the documents point at is there: files, headings, functions and commands."""

import ast
import re
from configparser import ConfigParser
from functools import cache
from pathlib import Path

import pytest
from support import TREE

from heldar_mirror.cli.main import COMMANDS

PACKAGE = TREE / "heldar_mirror"
TOPS = sorted({path.name for path in TREE.iterdir() if path.is_dir() and not path.name.startswith(".")})
PAGES = sorted(
    {
        *TREE.glob("*.md"),
        *TREE.glob("docs/*.md"),
        *TREE.glob("benchmarks/*.md"),
        *TREE.glob("deploy/**/*.md"),
    }
)

CODE = ("heldar_mirror", "tests", "script", "benchmarks", "deploy", "templates")
LINK = re.compile(r"\]\(([^)\s]+)\)")
# A path in backticks that begins with a folder of the tree or of the package; after a colon, a name in that file.
PATH = re.compile(r"`([\w.@-]+(?:/[\w.@*-]+)+/?)(?::([\w.]+))?`")
# A command at the beginning of a span or a line, after a prompt or after variables.
COMMAND = re.compile(r"(?:^|`|[#$;] |=\S+ )heldar-mirror ([a-z][a-z-]*)", re.MULTILINE)


def name_of(path: Path) -> str:
    return str(path.relative_to(TREE))


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    return frozenset(map(anchor, re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)))


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@cache
def defined(path: Path) -> frozenset[str]:
    """The functions and classes of a module, and its classes' own, as `Class.method`."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {
                f"{node.name}.{part.name}"
                for part in node.body
                if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef))
            }
    return frozenset(names)


def missing_link(page: Path, target: str) -> bool:
    file, _, anchor = target.partition("#")
    path = (page.parent / file).resolve() if file else page
    return not path.exists() or bool(anchor and anchor not in anchors(path))


def missing_path(path: str, name: str) -> bool:
    folder = path.partition("/")[0]
    if folder in TOPS:
        base = TREE
    elif not folder.startswith(".") and (PACKAGE / folder).is_dir():
        base = PACKAGE
    else:
        return False  # not one of ours
    found = list(base.glob(path))
    return not found or bool(name and name not in defined(found[0]))


def test_there_are_pages() -> None:
    """The tests below look at something."""
    assert len(PAGES) > 10
    assert "docs" in TOPS


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    """A relative link names a file that is there, and a heading in it."""
    links = [link for link in LINK.findall(page.read_text()) if not re.match(r"\w+:", link)]
    assert [link for link in links if missing_link(page, link)] == []


@every_page
def test_every_path_is_in_the_tree(page: Path) -> None:
    """A path in backticks that begins with a folder of ours names a file, and a function in it."""
    paths = PATH.findall(page.read_text())
    assert [f"{path}:{name}" for path, name in paths if missing_path(path, name)] == []


@every_page
def test_every_command_is_one(page: Path) -> None:
    """A command that a page names can be called."""
    assert set(COMMAND.findall(page.read_text())) <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_described(command: str) -> None:
    """The page of commands has them all."""
    assert f"| `heldar-mirror {command}` |" in (TREE / "docs/commands.md").read_text()


def test_the_layers_are_those_that_are_checked() -> None:
    """The page on architecture shows the import layers as setup.cfg has them."""
    config = ConfigParser()
    config.read(TREE / "setup.cfg")
    layers = config["importlinter:contract:layers"]["layers"].strip()
    assert f"```\n{layers}\n```" in (TREE / "docs/architecture.md").read_text()


def test_the_code_names_pages_and_headings_that_are_there() -> None:
    """A comment that says `docs/PAGE.md, "A heading"` leads to that heading."""
    lost = []
    for path in (path for top in CODE for path in (TREE / top).rglob("*") if path.suffix in {".py", ".yml", ".j2"}):
        text = re.sub(r"\n[ #]*", " ", path.read_text())
        for page, heading in re.findall(r"(docs/[a-z-]+\.md)`?(?:, \"([^\"]+)\")?", text):
            if not (TREE / page).exists() or (heading and anchor(heading) not in anchors(TREE / page)):
                lost.append(f"{name_of(path)}: {page}, {heading}")
    assert lost == []


def test_every_page_is_in_the_index() -> None:
    """Whoever looks for a page finds it in docs/README.md."""
    index = TREE / "docs/README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text())}
    assert {name_of(page) for page in TREE.glob("docs/*.md") if page != index and page not in linked} == set()
