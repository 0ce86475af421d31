"""Whatever comes from outside: only the documented errors come of it, what is taken can be used, and no secret is told.

What comes from outside are the rows of Heldar's table, env files, the variables of the environment, the files of the
state, and what the pruner gets from the watcher. Each test looks at a hundred or so made up by hypothesis.
"""

import contextlib
import copy
import json
import math
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given
from hypothesis import settings as configured
from hypothesis import strategies as st
from supervisor.options import UnhosedConfigParser
from support.examples import KEY, row, seal, settings
from support.known_facts import facts
from support.pruning_fakes import HOUR, NOW, FakeTime

from heldar_mirror.cli.reconcile import plan_json, plan_lines
from heldar_mirror.cli.status import status_lines
from heldar_mirror.env_file import escape_env, parse_env_file
from heldar_mirror.errors import SettingsError, StateError
from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar.cameras import COLUMNS, CameraError
from heldar_mirror.heldar.retention import CAMERA_COLUMNS, LOCK_COLUMNS, parse_locks, parse_policy
from heldar_mirror.keeping.protocol import decode_settings, encode_settings
from heldar_mirror.programs.desired import desired_state
from heldar_mirror.programs.launch_spec import parse_launch_spec, spec_path
from heldar_mirror.programs.plan import Saved, make_plan
from heldar_mirror.programs.stanzas import parse_programs, render_programs
from heldar_mirror.pruning.clock import WallClock
from heldar_mirror.pruning.memory import Memory, Retention, parse_retention, retention_text
from heldar_mirror.pruning.outcome import Pruned
from heldar_mirror.pruning.settings import PruningSettings
from heldar_mirror.recorder.files import as_text
from heldar_mirror.recorder.launch_spec import parse_spec, segment_seconds
from heldar_mirror.setting_table import BY_NAME
from heldar_mirror.settings import parse_settings
from heldar_mirror.state.volumes import parse_volumes, volumes_text
from heldar_mirror.status.publishing import parse_report
from heldar_mirror.status.recorder_log import last_error
from heldar_mirror.status.report import make_report

# A test is bounded by its examples, since a slow machine must not fail it.
bounded = configured(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))

# Texts as SQLite or the environment may give them: with bytes that are no UTF-8, as surrogates.
odd_texts = st.one_of(
    st.text(max_size=30),
    st.binary(max_size=30).map(lambda data: data.decode(errors="surrogateescape")),
    st.text(st.sampled_from("\0\n\r\x1b\u2028\x85 %;#[]='\"\\$a/.@:&?\udcff"), max_size=12),
)
numbers = st.one_of(st.integers(), st.floats(), st.just(10**400), st.booleans())
json_values = st.recursive(
    st.one_of(st.none(), numbers, st.text(max_size=12)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=12), inner, max_size=3)),
    max_leaves=8,
)


@contextlib.contextmanager
def taken_or(error: type[Exception]) -> Iterator[list[str]]:
    """What the block is given is taken, or refused with an error of just this class, whose text is in the list then."""
    told: list[str] = []
    try:
        yield told
    except error as caught:
        told.append(str(caught))


def places(document: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places in a JSON document, from the outside inwards."""
    keys = document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    return [place, *(deeper for key in keys for deeper in places(document[key], (*place, key)))]


@st.composite
def damaged(draw: st.DrawFn, document: Any) -> str:
    """The text of a JSON document of which a part was replaced, left out, or that was cut off."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(0, 2))):
        root = holder = {"root": document}
        place = "root", *draw(st.sampled_from(places(document)))
        for key in place[:-1]:
            holder = holder[key]
        if draw(st.booleans()) or len(place) == 1:
            holder[place[-1]] = draw(json_values)
        else:
            del holder[place[-1]]
        document = root["root"]
    text = json.dumps(document)
    return draw(st.sampled_from([text, text, text[: draw(st.integers(0, len(text)))]]))


# Rows.

SECRET = "n0secret-h3re"
secrets = st.sampled_from([SECRET, f"{SECRET}/%@:\n=\u2028", f"\x1b{SECRET}\0", f"{SECRET}\udcff"])
urls = st.builds(
    lambda scheme, user, password, rest: f"{scheme}{user}:{password}@h{rest}",
    st.sampled_from(["rtsp://", "RTSPS://", "http://", "", "rtsp:/", " rtsp://"]),
    odd_texts,
    secrets,
    st.one_of(odd_texts, secrets.map(lambda secret: f"/?password={secret}&x=1")),
)
sealed = st.one_of(secrets, urls).map(lambda text: seal(text.encode(errors="surrogateescape")))
any_value = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), odd_texts, st.binary(max_size=20))
columns: Mapping[str, st.SearchStrategy[object]] = {
    **dict.fromkeys({*COLUMNS, *CAMERA_COLUMNS} - {"password"}, any_value),
    "record_stream": st.one_of(any_value, st.sampled_from(["main", "sub"])),
    "vendor": st.one_of(any_value, st.sampled_from(["hikvision", "dahua"])),
    "main_stream_url": st.one_of(st.none(), urls, sealed, st.just(f"enc:v1:{SECRET}")),
    "sub_stream_url": st.one_of(st.none(), urls, sealed),
    "password": st.one_of(secrets, sealed, secrets.map(lambda text: text.encode(errors="surrogateescape"))),
}


@st.composite
def rows(draw: st.DrawFn) -> dict[str, object]:
    """A row with a secret, of which up to two more columns were changed, mostly to what can't be used."""
    names = {"password", *draw(st.lists(st.sampled_from(sorted(columns)), max_size=2))}
    if draw(st.booleans()):
        names.add("main_stream_url")
    changed = {name: draw(columns[name]) for name in sorted(names)}
    return {"retention_hours": 24, "storage_quota_bytes": None} | dict(row(**changed))


@bounded
@given(rows())
def test_a_row_gives_a_program_or_a_reason(found: dict[str, object]) -> None:
    """A program is one that supervisord reads as one with one command, and a launch spec that is read as it was
    written. No secret stands in a reason, a stanza or a plan, or in what is printed of them."""
    made = settings(SECRET_KEY=KEY, MIRROR_SPECS_DIR="/specs")
    desired = desired_state([found], made, "volume")
    assert len(desired.specs) + len(desired.unwanted) + len(desired.unusable) == 1
    plan = make_plan(desired, {}, 5)
    programs = render_programs(plan.generations, made)
    parser = UnhosedConfigParser()
    parser.read_string(programs)
    assert parser.sections() == [f"program:mirror-{camera_id}" for camera_id in desired.specs]
    for camera_id, spec in desired.specs.items():
        assert parse_launch_spec(spec.render(5)) == (spec, 5)
        assert segment_seconds(parse_spec(spec.render(5))) >= 2
        command = shlex.split(parser.saneget(f"program:mirror-{camera_id}", "command"))
        assert command[-2:] == [spec_path(camera_id, made), "5"]
        assert SECRET not in spec.masked_url()
    assert parse_programs(programs) == {f"mirror-{camera_id}": 5 for camera_id in desired.specs}
    told = [programs, repr(desired), json.dumps(plan_json(plan, None)), *plan_lines(plan, None)]
    assert not [text for text in told if SECRET in text]
    before = {camera_id: Saved(None, 4) for camera_id in desired.specs}
    assert not [text for text in plan_lines(make_plan(desired, before, 5), None) if SECRET in text]


@bounded
@given(rows(), st.dictionaries(st.sampled_from(LOCK_COLUMNS), any_value))
@example({}, {"camera_id": "gate", "start_time": "0001-01-01T00:00:00+23:59", "end_time": "9999-12-31T23:59:59-23:59"})
@example({}, {"camera_id": "gate", "start_time": "2026-13-01T00:00:00Z", "end_time": "2026-01-01T25:00:00Z"})
def test_a_row_says_how_long_footage_stays_or_it_stays(found: dict[str, object], lock: dict[str, object]) -> None:
    """A time that can't be read locks all footage of its camera."""
    with taken_or(CameraError) as told:
        policy = parse_policy(row(**{"retention_hours": 24, "storage_quota_bytes": None} | found))
        assert policy.keep_seconds is not None
        assert policy.keep_seconds >= HOUR
        assert policy.quota is None or policy.quota > 0
    assert not any(SECRET in text for text in told)
    locks, problems = parse_locks([{**dict.fromkeys(LOCK_COLUMNS), **lock}])
    (spans,) = locks.values()
    assert spans.overlap(-math.inf, math.inf)
    assert not problems or spans == Spans([(-math.inf, math.inf)])


# Settings.


@bounded
@given(st.binary(max_size=200) | st.lists(odd_texts).map(lambda lines: "\n".join(lines).encode(errors="replace")))
@example(b"\xef\xbb\xbfA=1\n")
@example(b"=\n = \nexport\nexport =1\n\0=\0\n")
def test_an_env_file_gives_variables_or_an_error(content: bytes) -> None:
    try:
        text = as_text(content)
    except ValueError:
        return
    try:
        variables = parse_env_file(text)
    except SettingsError:
        return
    assert all(name == name.strip() and name for name in variables)
    assert not any("\ufeff" in name for name in list(variables)[:1] if content.startswith(b"\xef\xbb\xbf"))


@bounded
@given(odd_texts)
def test_a_value_is_read_from_an_env_file_as_it_was_written(value: str) -> None:
    """So the secrets that `up` hands to the watcher come through. What fits into no line is not taken as a setting."""
    with taken_or(SettingsError) as told:
        key = parse_settings({"HELDAR_SECRET_KEY": value, "HELDAR_MIRROR_STATE_DIR": "/s"}).secret_key
        if key is not None:
            text = f"HELDAR_SECRET_KEY={escape_env(key)}\n"
            assert parse_env_file(as_text(text.encode())) == {"HELDAR_SECRET_KEY": key}
    assert told in ([], ["HELDAR_SECRET_KEY: expected one line of text in UTF-8; its value is not shown"])


@bounded
@given(st.dictionaries(st.sampled_from(sorted(BY_NAME)), st.one_of(odd_texts, odd_texts.map(lambda text: f"/{text}"))))
@example({"HELDAR_MIRROR_USER": "root\0"})
def test_variables_give_settings_or_an_error(variables: dict[str, str]) -> None:
    """Settings that are taken can be written into supervisord's files."""
    try:
        made = parse_settings({"HELDAR_MIRROR_STATE_DIR": "/s", **variables})
    except SettingsError:
        return
    paths = (made.recordings_dir, made.database, made.state_dir, made.specs_dir, made.log_dir, made.programs_file)
    assert all(path.is_absolute() and str(path).isprintable() for path in paths)
    parser = UnhosedConfigParser()
    parser.read_string(render_programs({"gate": 1}, made))
    assert parser.sections() == [f"program:{made.prefix}gate"]
    assert shlex.split(parser.saneget(parser.sections()[0], "command"))[-2:] == [spec_path("gate", made), "1"]


PRUNING = PruningSettings.of(settings())


@bounded
@given(st.one_of(st.binary(max_size=50), damaged(json.loads(encode_settings(PRUNING))).map(str.encode)))
def test_the_pruner_gets_settings_or_an_error(line: bytes) -> None:
    with taken_or(ValueError) as told:
        found = decode_settings(line, PruningSettings)
        assert decode_settings(encode_settings(found), PruningSettings) == found
    assert all(text.isprintable() for text in told)


# The files of the state.

SPEC = desired_state([row()], settings(), "volume").specs["gate"].render(5)


@st.composite
def edited(draw: st.DrawFn, text: str) -> str:
    """A text of which a piece was replaced."""
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    return text[:start] + draw(odd_texts.map(lambda new: new.encode(errors="replace").decode())) + text[end:]


@bounded
@given(st.one_of(edited(SPEC), st.text(max_size=50)))
@example(SPEC.replace("secret=", "secret=\0"))
def test_a_launch_spec_is_read_or_damaged(text: str) -> None:
    """One that is taken is read as it was written when it is written again."""
    with taken_or(ValueError) as told:
        spec, generation = parse_launch_spec(text)
        assert parse_launch_spec(spec.render(generation)) == (spec, generation)
        fields = parse_spec(text)
        assert segment_seconds(fields) >= 0
        assert not any("\0" in value for name in ("arg", "root", "directory", "url") for value in fields[name])
        assert isinstance(spec.masked_url(), str)
    assert not any("p@ss" in text for text in told)


PROGRAMS = render_programs({"gate": 5, "hall": 2**40}, settings())


@bounded
@given(st.one_of(edited(PROGRAMS), st.text()))
@example(PROGRAMS.replace(" 5\n", f" {'5' * 5000}\n"))
def test_a_programs_file_names_programs(text: str) -> None:
    assert all(isinstance(generation, int) for generation in parse_programs(text).values())


VOLUMES = volumes_text({"/mnt/a b": "one", "/mnt/c": "two", "about to be /mnt/d": "three"})


@bounded
@given(st.one_of(edited(VOLUMES), st.text()))
def test_a_file_of_volumes_is_read_or_damaged(text: str) -> None:
    """One that is taken says the same when it is written again."""
    with taken_or(ValueError):
        volumes = parse_volumes(text)
        assert volumes
        assert parse_volumes(volumes_text(volumes)) == volumes


RETENTION = Retention(
    frozenset({"gate", "hall"}),
    {"hall": NOW},
    WallClock("one boot", NOW - 1000, NOW, 7.0),  # as FakeTime has it
    {"gate": Spans([(1, 2), (3, math.inf)])},
)


@bounded
@given(st.one_of(damaged(json.loads(retention_text(RETENTION))), edited(retention_text(RETENTION)), st.text()))
@example(retention_text(RETENTION).replace("7.0", "1e300"))
@example(retention_text(RETENTION).replace("7.0", "7" * 400))
def test_a_memory_of_the_pruner_is_read_or_damaged(text: str) -> None:
    """The pruner can go on with one that is taken, whatever stands in it."""
    try:
        retention = parse_retention(text)
    except ValueError:
        return
    assert parse_retention(retention_text(retention)) == retention
    written: list[Retention] = []
    memory = Memory(lambda: retention, written.append, HOUR, FakeTime().clocks)
    pruned = Pruned()
    memory.recall(pruned)
    memory.note_cameras({"gate"}, {"gate", "hall"}, {"gate", "hall", "yard"}, retention.locks)
    memory.deleted_policies(memory.believed_now(pruned), pruned)
    for locks in retention.locks.values():
        locks.overlap(0, 1)
    for state in written:
        assert parse_retention(retention_text(state)) == state


REPORT = make_report(facts("wanted", "RUNNING", "segment", error="x"), ["a problem"]).to_json()


@bounded
@given(st.one_of(damaged(json.loads(json.dumps(REPORT))).map(str.encode), st.binary(max_size=50)))
@example(json.dumps(REPORT | {"at": 10**400}).encode())
@example(json.dumps(REPORT | {"at": math.nan}).encode())
def test_a_report_is_shown_or_damaged(content: bytes) -> None:
    """One that is taken can be shown, as a table and as JSON."""
    with taken_or(StateError) as told:
        report = parse_report(content, Path("/run/status.json"))
        assert list(status_lines(report, 80))
        assert json.dumps(report.to_json())
    assert all(len(text) < 500 for text in told)


@bounded
@given(st.lists(st.one_of(odd_texts, st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ERROR .*"))))
def test_a_log_has_a_last_error_or_none(lines: list[str]) -> None:
    error = last_error("\n".join(lines))
    assert error is None or math.isfinite(error[0])
