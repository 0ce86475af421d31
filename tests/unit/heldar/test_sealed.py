"""Sealed values: what opens them, and what is said when nothing does."""

import base64

import pytest
from hypothesis import given
from support.examples import KEY, seal, texts

from heldar_mirror.heldar.sealed import unseal

OTHER_KEY = base64.b64encode(bytes(32)).decode()
SEALED = seal(b"p@ss/w:rd")
TAMPERED = SEALED[:-6] + ("A" if SEALED[-6] != "A" else "B") + SEALED[-5:]


@given(texts)
def test_what_the_kernel_sealed_is_opened(plain: str) -> None:
    """Any text comes back as it was."""
    assert unseal(seal(plain.encode()), KEY) == plain


@pytest.mark.parametrize("key", [None, KEY, "rubbish"])
@pytest.mark.parametrize("value", ["", "p@ss/w:rd", "enc:v2:AAAA", "enc:v1", "ENC:V1:AAAA"])
def test_a_value_without_the_prefix_is_plain(value: str, key: str | None) -> None:
    """Plain values need no key, and a key does them no harm."""
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
        (SEALED, OTHER_KEY, "HELDAR_SECRET_KEY is a different one, or the value is damaged"),
        (TAMPERED, KEY, "HELDAR_SECRET_KEY is a different one, or the value is damaged"),
        ("enc:v1:", KEY, "too short"),
        ("enc:v1:" + base64.b64encode(bytes(27)).decode(), KEY, "too short"),
        ("enc:v1:" + base64.b64encode(bytes(28)).decode(), KEY, "is a different one, or the value is damaged"),
        ("enc:v1:***", KEY, "no base64"),
        ("enc:v1:é", KEY, "no base64"),
        (SEALED + "\n", KEY, "no base64"),
        (seal(b"\xff"), KEY, "not UTF-8"),
    ],
)
def test_what_cannot_be_opened_is_told_without_a_secret(value: str, key: str | None, reason: str) -> None:
    """The error names the cause, and holds neither key nor value."""
    with pytest.raises(ValueError, match=reason) as caught:
        unseal(value, key)
    assert not any(secret in str(caught.value) for secret in (key, value.removeprefix("enc:v1:")) if secret)
