"""Sealed values: how they are opened, and the errors if they can't be."""

import base64

import pytest
from hypothesis import given
from support.examples import KEY, seal, texts

from heldar_mirror.heldar.sealed import unseal

OTHER_KEY = base64.b64encode(bytes(32)).decode()
SEALED = seal(b"p@ss/w:rd")
TAMPERED = SEALED[:-6] + ("A" if SEALED[-6] != "A" else "B") + SEALED[-5:]


@given(texts)
def test_a_sealed_value_is_opened(plain: str) -> None:
    """Any text that was sealed is read back unchanged."""
    assert unseal(seal(plain.encode()), KEY) == plain


@pytest.mark.parametrize("key", [None, KEY, "rubbish"])
@pytest.mark.parametrize("value", ["", "p@ss/w:rd", "enc:v2:AAAA", "enc:v1", "ENC:V1:AAAA"])
def test_a_value_without_the_prefix_is_plain(value: str, key: str | None) -> None:
    """A plain value is returned unchanged, with or without a key."""
    assert unseal(value, key) == value


@pytest.mark.parametrize(
    ("value", "key", "reason"),
    [
        (SEALED, None, "HELDAR_SECRET_KEY is not set"),
        (SEALED, "", "HELDAR_SECRET_KEY: expected base64 of 32 bytes"),
        (SEALED, KEY[:-5], "HELDAR_SECRET_KEY: expected base64 of 32 bytes"),
        (SEALED, base64.b64encode(bytes(31)).decode(), "HELDAR_SECRET_KEY: expected base64 of 32 bytes"),
        (SEALED, "not base64!", "HELDAR_SECRET_KEY: expected base64 of 32 bytes"),
        (SEALED, "schlüssel", "HELDAR_SECRET_KEY: expected base64 of 32 bytes"),
        (SEALED, OTHER_KEY, "HELDAR_SECRET_KEY is not the key that sealed it, or the value is damaged"),
        (TAMPERED, KEY, "HELDAR_SECRET_KEY is not the key that sealed it, or the value is damaged"),
        ("enc:v1:", KEY, "too short"),
        ("enc:v1:" + base64.b64encode(bytes(27)).decode(), KEY, "too short"),
        (
            "enc:v1:" + base64.b64encode(bytes(28)).decode(),
            KEY,
            "is not the key that sealed it, or the value is damaged",
        ),
        ("enc:v1:***", KEY, "not base64"),
        ("enc:v1:é", KEY, "not base64"),
        (SEALED + "\n", KEY, "not base64"),
        (seal(b"\xff"), KEY, "not UTF-8"),
    ],
)
def test_the_error_shows_no_secret(value: str, key: str | None, reason: str) -> None:
    """The error names the cause, and shows neither the key nor the value."""
    with pytest.raises(ValueError, match=reason) as caught:
        unseal(value, key)
    assert not any(secret in str(caught.value) for secret in (key, value.removeprefix("enc:v1:")) if secret)
