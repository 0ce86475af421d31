"""The settings on their way from the watcher to the lister."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from heldar_mirror.keeping.protocol import decode_settings, encode_settings
from heldar_mirror.manifests.settings import ManifestSettings
from heldar_mirror.settings import parse_settings

SETTINGS = ManifestSettings(mirror_root=Path("/mirror"), state_dir=Path("/state"))


def line_of(**changes: object) -> bytes:
    """Return a line of settings, but for `changes`."""
    return json.dumps(json.loads(encode_settings(SETTINGS)) | changes).encode() + b"\n"


@pytest.mark.parametrize(
    "settings",
    [
        SETTINGS,
        replace(SETTINGS, user="recorder", umask=0o77, manifests_retention_seconds=0.5),
        replace(SETTINGS, manifests_key=Path("/a b/ü/\n/\udcff")),
    ],
)
def test_settings_arrive_as_they_were_sent(settings: ManifestSettings) -> None:
    assert decode_settings(encode_settings(settings), ManifestSettings) == settings


def test_the_defaults_are_those_of_the_settings_and_no_secret_is_sent() -> None:
    variables = {
        "HELDAR_MIRROR_RECORDINGS_DIR": "/mirror",
        "HELDAR_MIRROR_STATE_DIR": "/state",
        "HELDAR_SECRET_KEY": "key-that-is-secret",
    }
    settings = ManifestSettings.of(parse_settings(variables))
    assert settings == SETTINGS
    assert b"secret" not in encode_settings(settings)


KEYS: list[object] = [5, "", "relative", "/nul\0", "/\ud800", []]
UMASKS: list[object] = ["5", None, -1, True, 1e30]


@pytest.mark.parametrize(
    ("name", "value"),
    [*(("manifests_key", key) for key in KEYS), *(("umask", umask) for umask in UMASKS), ("mirror_root", None)],
)
def test_a_value_that_a_setting_can_not_have_is_an_error(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^{name} is .*, expected "):
        decode_settings(line_of(**{name: value}), ManifestSettings)
