"""Opening the values that Heldar stores sealed: `enc:v1:`, and base64 of nonce, AES-256-GCM ciphertext and tag."""

import base64

PREFIX = "enc:v1:"
NONCE_BYTES = 12
TAG_BYTES = 16
KEY_BYTES = 32


def unseal(value: str, secret_key: str | None) -> str:
    """Return the plain text of a value. A value without the prefix is plain text already, and needs no key.

    `secret_key` is HELDAR_SECRET_KEY, base64 of 32 bytes. Raises ValueError, whose text says what is wrong and holds
    nothing of the key, the value or the plain text.
    """
    if not value.startswith(PREFIX):
        return value
    if secret_key is None:
        raise ValueError("HELDAR_SECRET_KEY is not set; give the mirror Heldar's key")
    try:
        key = base64.b64decode(secret_key, validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"HELDAR_SECRET_KEY: expected base64 of {KEY_BYTES} bytes; give the mirror Heldar's key")
    try:
        box = base64.b64decode(value.removeprefix(PREFIX), validate=True)
    except ValueError:
        raise ValueError("the stored value is not base64; set it again in Heldar") from None
    if len(box) < NONCE_BYTES + TAG_BYTES:
        raise ValueError("the stored value is too short; set it again in Heldar")

    # Imported here, since that takes a tenth of a second and only sealed values need it.
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    try:
        return AESGCM(key).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], None).decode()
    except InvalidTag:
        raise ValueError(
            "HELDAR_SECRET_KEY is not the key that sealed it, or the value is damaged; set it again in Heldar"
        ) from None
    except UnicodeDecodeError:
        raise ValueError("the sealed text is not UTF-8; set it again in Heldar") from None
