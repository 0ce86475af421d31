"""Launch specs: rendered, and parsed by us and by the recorder."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.examples import row, settings, texts

from heldar_mirror.heldar.camera_url import encode
from heldar_mirror.programs.desired import desired_state
from heldar_mirror.programs.launch_spec import LaunchSpec, parse_launch_spec
from heldar_mirror.recorder.launch_spec import FIELDS, parse_spec


def launch_spec(**columns: object) -> LaunchSpec:
    return desired_state([row(**columns)], settings(), "volume").specs["gate"]


@given(username=texts, password=texts, explicit=st.booleans(), generation=st.integers(0, 2**63))
@example("admin", "x\narg=/bin/sh", False, 1)
@example("admin", "x\narg=/bin/sh", True, 1)
@example("admin", "a\rb", False, 1)
@example("admin", "secret=x=y", False, 1)
def test_a_launch_spec_is_read_as_it_was_written(username: str, password: str, explicit: bool, generation: int) -> None:
    """Both we and the recorder read back what was written. A credential can't add a line."""
    url = f"rtsp://u:{encode(password)}@h/" if explicit else None
    spec = launch_spec(username=username, password=password, main_stream_url=url)
    text = spec.render(generation)
    assert parse_launch_spec(text) == (spec, generation)
    fields = parse_spec(text)
    assert (fields["arg"], fields["url"]) == (list(spec.args), [spec.url])
    assert (fields["directory"], fields["generation"]) == (["/mnt/mirror/gate"], [str(generation)])


GOOD_SPEC = "generation=1\ncamera=gate\nroot=/m\nvolume=v\ndirectory=/m/gate\nurl=rtsp://h\narg=ffmpeg\n"


@pytest.mark.parametrize(
    "text",
    [
        *("", "\n", "\0", "<html>", GOOD_SPEC[:20], GOOD_SPEC + "rubbish\n", GOOD_SPEC + "unknown=1\n"),
        *(GOOD_SPEC.replace(f"{field}=", "secret=") for field in FIELDS if field != "secret"),
        *(
            GOOD_SPEC.replace("generation=1", f"generation={value}")
            for value in ("", "x", "1.5", "-1", " 1", "1_0", "\u0661", "9" * 5000)
        ),
        *(GOOD_SPEC.replace(f"{field}=", f"{field}=\0") for field in FIELDS if field != "secret"),
    ],
)
def test_a_damaged_launch_spec_is_a_value_error(text: str) -> None:
    """Anything missing, cut off or unknown raises ValueError, which a reconcile handles by writing the spec again."""
    assert parse_launch_spec(GOOD_SPEC)[1] == 1
    with pytest.raises(ValueError, match=r"."):
        parse_launch_spec(text)


def test_neither_repr_nor_masked_url_of_a_launch_spec_shows_a_credential() -> None:
    """A launch spec can be printed, and its masked URL shown."""
    spec = launch_spec(password="hidden")
    assert "hidden" in spec.url
    assert "hidden" not in repr(spec)
    assert spec.masked_url() == "rtsp://***@10.0.0.1:554/Streaming/Channels/101"
