"""What is written is read again, and no other text is taken for a manifest."""

import contextlib
import re
import string
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldar_mirror.manifests import form
from heldar_mirror.manifests.form import DamagedError, Heading, Link, SealedName, Sums

LAST_SECOND = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc).timestamp())
times = st.integers(0, LAST_SECOND)
days = times.map(form.day_of)
digests = st.binary(min_size=32, max_size=32)
camera_ids = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}", fullmatch=True)
sealed_names = st.builds(SealedName, st.integers(0, 999_999_999), days)
links = st.one_of(st.none(), st.builds(Link, sealed_names.map(str), digests))
headings = st.builds(Heading, camera_ids, sealed_names, times, links)


def sums_of(pairs: list[tuple[int, bytes]]) -> Sums:
    made = Sums()
    for begun, digest in pairs:
        made.add(begun, digest)
    return made


all_sums = st.lists(st.tuples(times, digests), max_size=20).map(sums_of)


@given(headings, all_sums)
def test_a_sealed_manifest_is_read_as_it_was_written(heading: Heading, sums: Sums) -> None:
    """Nothing is lost or added on the way through the file."""
    assert form.parse_sealed(form.render_sealed(heading, sums)) == (heading, sums)


@given(headings, all_sums, st.data())
def test_a_sealed_manifest_that_was_cut_or_changed_is_not_read_as_another(
    heading: Heading, sums: Sums, data: st.DataObject
) -> None:
    """A cut is always found. A changed byte is either found or gives a manifest whose text is just that one."""
    content = form.render_sealed(heading, sums)
    with pytest.raises(DamagedError):
        form.parse_sealed(content[: data.draw(st.integers(0, len(content) - 1))])
    place = data.draw(st.integers(0, len(content) - 1))
    changed = content[:place] + data.draw(st.binary(min_size=1, max_size=1)) + content[place + 1 :]
    with contextlib.suppress(DamagedError):
        assert form.render_sealed(*form.parse_sealed(changed)) == changed


@given(camera_ids, all_sums, st.binary(max_size=200))
def test_what_a_crash_leaves_of_a_line_is_never_read(camera_id: str, sums: Sums, torn: bytes) -> None:
    """An open manifest is read up to a torn line, and from the next whole one."""
    lines = form.render_sums(camera_id, sums)
    assert form.parse_sums(camera_id, lines) == (sums, 0)
    found, bad = form.parse_sums(camera_id, lines + torn.replace(b"\n", b"") + b"\n" + lines)
    assert found == sums_of([*sums, *sums])
    assert bad == 1


@given(camera_ids, all_sums, st.data())
def test_a_line_without_its_end_does_not_count(camera_id: str, sums: Sums, data: st.DataObject) -> None:
    """However many bytes of the last line were written, the segments of the whole lines are read, and no other."""
    lines = form.render_sums(camera_id, sums)
    size = data.draw(st.integers(0, len(lines)))
    found, bad = form.parse_sums(camera_id, lines[:size])
    whole = lines[:size].count(b"\n")
    assert list(found) == list(sums)[:whole]
    assert bad == (not lines[:size].endswith(b"\n") and size > 0)


@given(st.one_of(st.binary(max_size=300), st.text(string.hexdigits + " #/.\n_-", max_size=300).map(str.encode)))
def test_no_other_text_is_taken(content: bytes) -> None:
    """Whatever lies in the place of a manifest, it is refused, or its lines are left out."""
    with pytest.raises(DamagedError):
        form.parse_sealed(content)
    sums, _ = form.parse_sums("gate", content)
    assert all(re.search(digest.hex().encode(), content) for _, digest in sums)


@pytest.mark.parametrize(
    "line",
    [
        "{sum}  yard/20261129_120000.mp4\n",
        "{sum}  gate/20261129_120000.mp4.part\n",
        "{sum}  gate/20261329_120000.mp4\n",
        "{sum}  gate/20261129_126000.mp4\n",
        "{sum}  gate/../gate/20261129_120000.mp4\n",
        "{sum}  /gate/20261129_120000.mp4\n",
        " {sum}  gate/20261129_120000.mp4\n",
        "\\{sum}  gate/20261129_120000.mp4\n",
        "{sum} *gate/20261129_120000.mp4\n",
        "{sum}  gate/20261129_120000.mp4\r\n",
        "{sum}  gate/20261129_120000.mp4",
        "{SUM}  gate/20261129_120000.mp4\n",
        "# a comment\n",
        "\n",
    ],
)
def test_only_lines_as_we_write_them_count(line: str) -> None:
    """A line for another camera, another file or another program is not one of ours."""
    digest = "ab" * 32
    assert form.parse_sums("gate", line.format(sum=digest, SUM=digest.upper()).encode()) == (Sums(), 1)


def test_names_sort_as_they_follow_on_each_other() -> None:
    """The number leads, so that the newest is the last, also where a late day was sealed after a later one."""
    names = [SealedName(9, "2026-11-30"), SealedName(10, "2026-11-29"), SealedName(11, "2036-01-01")]
    assert sorted(map(str, reversed(names))) == list(map(str, names))
    assert [form.parse_sealed_name(str(name)) for name in names] == names


@given(st.one_of(st.text(max_size=40), days.map(form.open_name), sealed_names.map(str)))
def test_a_file_name_is_taken_only_as_it_is_made(name: str) -> None:
    """A name that is read as one of a manifest is just the name that this manifest gets."""
    if sealed := form.parse_sealed_name(name):
        assert str(sealed) == name
    if day := form.parse_open_name(name):
        assert form.open_name(day) == name
        assert form.day_of(form.day_begins(day)) == day


@pytest.mark.parametrize(
    "name", ["000001_2026-02-30.SHA256SUMS", "000001_2026-11-29.SHA256SUMS.sig", ".new", "1_2026-11-29.SHA256SUMS"]
)
def test_other_files_are_no_manifests(name: str) -> None:
    """Signatures, leftovers and impossible days are left alone."""
    assert form.parse_sealed_name(name) is None
    assert form.parse_open_name(name.replace("SHA256SUMS", "open")) is None
