"""What was done to a chain of manifests, or to the segments that it lists, is found and named."""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from support.manifests import DAY, NOON, Root, made_root

from heldar_mirror.footage.names import segment_name
from heldar_mirror.footage.spans import Spans
from heldar_mirror.manifests.check import Chain, Flaw, check_chain, missing, unlisted
from heldar_mirror.manifests.form import Link, render_sums, sha256
from heldar_mirror.manifests.reading import File
from heldar_mirror.manifests.signature import is_signed

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = KEY.public_key()
DAYS = 6
END = NOON + DAYS * DAY
NEVER_LOCKED = Spans()


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    with made_root(tmp_path) as made:
        yield made


def fill(root: Root, days: int = DAYS) -> None:
    """Days of which each but the last is sealed and signed, with three segments each."""
    with root.store() as store:
        for day in range(days):
            at = NOON + day * DAY
            store.append("gate", root.put(at, at + 60, at + 120), at)
            store.seal("gate", at, KEY.sign)


def check(root: Root, since: float = 0, *, with_key: bool = True) -> Chain:
    return checked(root.read(), since, with_key=with_key)


def checked(files: Iterable[File], since: float, *, with_key: bool) -> Chain:
    return check_chain("gate", files, since, partial(is_signed, key=PUBLIC) if with_key else None)


def path(root: Root, number: int) -> Path:
    """The sealed manifest of this number."""
    [found] = root.manifests().glob(f"{number:06}_*SUMS")
    return found


def rewrite(manifest: Path, change: Callable[[bytes], bytes]) -> None:
    manifest.chmod(0o600)
    manifest.write_bytes(change(manifest.read_bytes()))


def flaws(chain: Chain) -> list[tuple[Flaw, str]]:
    """The findings, each with the number of the manifest."""
    return [(finding.flaw, finding.about.partition("_")[0].lstrip("0")) for finding in chain.findings]


def test_a_whole_chain_has_no_finding(root: Root) -> None:
    """All segments are listed, and the newest sealed manifest is the head."""
    fill(root)
    chain = check(root)
    assert (chain.findings, chain.unreadable, chain.late) == ([], [], 0)
    assert [bool(one and one.signed) for one in chain.sealed] == [True] * (DAYS - 1)
    newest = path(root, DAYS - 1)
    assert chain.head() == Link(newest.name, sha256(newest.read_bytes()))
    assert list(chain.listed.begun) == [NOON + day * DAY + 60 * minute for day in range(DAYS) for minute in range(3)]
    [(_, digest)] = root.put(NOON + 60)
    assert (chain.digest(NOON + 60), chain.digest(NOON + 61), chain.digest(END)) == (digest, None, None)


def test_a_camera_without_manifests_has_an_empty_chain(root: Root) -> None:
    """Nothing is found, and nothing is said to be proven."""
    assert check(root) == Chain("gate")
    assert check(root).head() is None


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> list[File]:
    """The manifests of a root that `fill` has filled, those that are sealed first."""
    with made_root(tmp_path_factory.mktemp("root")) as root:
        fill(root)
        return list(root.read())


@pytest.mark.parametrize("with_key", [True, False])
@given(data=st.data())
@settings(max_examples=60)
def test_whatever_is_done_to_a_manifest_that_another_one_follows_is_found(
    filled: list[File], data: st.DataObject, *, with_key: bool
) -> None:
    """A changed byte, a cut, a manifest that is gone, one in the place of another: with and without signatures."""
    number = data.draw(st.integers(0, DAYS - 3))
    content = filled[number].content
    kind = data.draw(st.sampled_from(["change", "cut", "lengthen", "remove", "swap"]))
    place = data.draw(st.integers(0, len(content) - 1))
    files = list(filled)
    if kind == "remove" and number > 0:
        del files[number]
    else:
        changed = {
            "change": content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :],
            "cut": content[:place],
            "lengthen": content + render_sums("gate", [(NOON, bytes(32))]),
        }
        files[number] = filled[number]._replace(content=changed.get(kind, filled[number + 1].content))
    assert checked(files, data.draw(st.sampled_from([0, END])), with_key=with_key).findings


def test_a_manifest_made_anew_is_found_by_the_one_after_it(root: Root) -> None:
    """Even if it is in order in itself. Its signature does not fit either."""
    fill(root)
    rewrite(path(root, 2), lambda content: content.replace(b"_1201", b"_1209"))
    assert flaws(check(root)) == [(Flaw.BROKEN_LINK, "3"), (Flaw.BAD_SIGNATURE, "2")]
    assert flaws(check(root, with_key=False)) == [(Flaw.BROKEN_LINK, "3")]


def test_the_newest_manifest_made_anew_is_found_by_its_signature(root: Root) -> None:
    """Nothing follows it yet. So without a key it takes a head that was kept elsewhere."""
    fill(root)
    head = check(root).head()
    rewrite(path(root, DAYS - 1), lambda content: content.replace(b"20261203_1200", b"20261203_1209"))
    assert flaws(check(root)) == [(Flaw.BAD_SIGNATURE, "5"), (Flaw.NOT_SIGNED, "5")]
    assert flaws(check(root, with_key=False)) == []
    assert check(root).head() != head


def test_manifests_that_are_gone_are_named(root: Root) -> None:
    """From the middle they are missed; the oldest ones may have expired."""
    fill(root)
    path(root, 1).unlink()
    assert check(root).findings == []
    for number in (3, 4):
        path(root, number).unlink()
    [finding] = check(root).findings
    assert (finding.flaw, finding.about) == (Flaw.LOST, path(root, 5).name)
    assert "numbers 3 to 4 are not there" in finding.text


def test_a_chain_that_begins_anew_is_found(root: Root) -> None:
    """As if nothing had been before: the number or the link does not fit the place."""
    fill(root, days=3)
    path(root, 1).unlink()
    rewrite(path(root, 2), lambda content: content[: content.index(b"# previous")] + b"# previous: none\n")
    assert Flaw.BROKEN_LINK in {flaw for flaw, _ in flaws(check(root, since=END, with_key=False))}


def test_one_signature_covers_all_before_it(root: Root) -> None:
    """A manifest without one is a finding only if none after it has one."""
    fill(root)
    for number in (1, 3):
        path(root, number).with_suffix(".SHA256SUMS.sig").unlink()
    assert flaws(check(root)) == []
    for number in (4, 5):
        path(root, number).with_suffix(".SHA256SUMS.sig").unlink()
    assert flaws(check(root)) == [(Flaw.NOT_SIGNED, "3")]
    assert flaws(check(root, with_key=False)) == []


def test_another_keys_signature_is_found(root: Root) -> None:
    """Who took over the machine can sign with a key of their own, and not with the one that is trusted."""
    fill(root, days=2)
    other = Ed25519PrivateKey.generate()
    signature = path(root, 1).with_suffix(".SHA256SUMS.sig")
    rewrite(signature, lambda _: other.sign(path(root, 1).read_bytes()))
    assert flaws(check(root)) == [(Flaw.BAD_SIGNATURE, "1"), (Flaw.NOT_SIGNED, "1")]


def test_what_cannot_be_read_is_said_and_not_taken_for_gone(root: Root) -> None:
    """A file that is no plain one is not followed. The links of those around it are checked as far as they can be."""
    fill(root)
    manifest = path(root, 3)
    manifest.unlink()
    manifest.symlink_to(path(root, 2))
    chain = check(root)
    assert chain.findings == []
    assert len(chain.unreadable) == 1
    assert chain.unreadable[0].startswith(manifest.name)
    manifest.unlink()
    os.mkfifo(manifest)
    assert check(root).unreadable[0].startswith(manifest.name)


def test_what_expires_during_the_check_is_no_finding(root: Root) -> None:
    """The oldest ones may go between the listing and the reading."""
    fill(root)
    files = list(root.read())
    gone = [File(file.name, is_gone=True) if number in {1, 2} else file for number, file in enumerate(files)]
    chain = check_chain("gate", gone, 0, partial(is_signed, key=PUBLIC))
    assert (chain.findings, chain.unreadable) == ([], [])


def test_what_is_sealed_during_the_check_is_listed_all_the_same(root: Root) -> None:
    """An open manifest that was read stays known, though the sealed one was listed before or after."""
    fill(root)
    files = root.read()
    first = next(files)
    with root.store() as store:
        store.seal("gate", END + DAY, KEY.sign)
    chain = check_chain("gate", [first, *files], 0, partial(is_signed, key=PUBLIC))
    assert len(chain.listed) == 3 * DAYS
    assert chain.findings == []


def test_a_segment_that_is_listed_with_two_hashes_is_found(root: Root) -> None:
    """The last one counts. To be listed twice with one hash is no harm."""
    fill(root)
    [(_, digest)] = root.put(NOON)
    with root.store() as store:
        store.append("gate", [(NOON, digest)], END)
        assert check(root).findings == []
        store.append("gate", [(NOON, bytes(32))], END)
    chain = check(root)
    [finding] = chain.findings
    assert (finding.flaw, finding.about) == (Flaw.LISTED_TWICE, f"gate/{segment_name(NOON)}")
    assert chain.digest(NOON) == bytes(32)
    assert chain.late == 2


def test_only_what_is_asked_for_is_kept(root: Root) -> None:
    """Old manifests are checked by their hashes alone, without a look at what they list."""
    fill(root)
    since = NOON + 4 * DAY + 60
    chain = check(root, since)
    assert list(chain.listed.begun) == [
        since,
        since + 60,
        *(NOON + 5 * DAY + 60 * minute for minute in range(3)),
    ]


def times(root: Root) -> list[int]:
    return list(check(root).listed.begun)


def test_segments_that_are_there_unlisted_are_found(root: Root) -> None:
    """But not those that may be too new, and those from before the first manifest, as long as that is there."""
    fill(root)
    present = sorted([*times(root), NOON - 60, NOON + 30, END + 60])
    assert unlisted(check(root), present, END).tolist() == [NOON + 30]
    assert unlisted(check(root), present, NOON + 30).tolist() == []
    assert unlisted(check(root), present, END + 61).tolist() == [NOON + 30, END + 60]
    path(root, 1).unlink()
    assert unlisted(check(root), present, END).tolist() == [NOON - 60, NOON, NOON + 30, NOON + 60, NOON + 120]
    assert unlisted(Chain("gate"), present, END).tolist() == []


def test_segments_that_are_gone_before_their_turn_are_found(root: Root) -> None:
    """The pruner deletes the oldest first, and leaves what is locked. All else that is gone somebody has deleted."""
    fill(root)
    chain, all_times = check(root), times(root)
    assert missing(chain, all_times, END, NEVER_LOCKED).tolist() == []
    assert missing(chain, all_times[4:], END, NEVER_LOCKED).tolist() == []
    assert missing(chain, [], END, NEVER_LOCKED).tolist() == []
    gone = [*all_times[4:7], *all_times[8:]]
    assert missing(chain, gone, END, NEVER_LOCKED).tolist() == [all_times[7]]
    assert missing(chain, gone, all_times[7], NEVER_LOCKED).tolist() == []
    locked = Spans([(all_times[0] - 15, all_times[0] + 75)])
    assert missing(chain, [all_times[0], *all_times[4:]], END, locked).tolist() == []
    assert missing(chain, [all_times[0], *all_times[4:]], END, NEVER_LOCKED).tolist() == all_times[1:4]
