"""How a secret stands in the database: AES-256-GCM under a key that is in a file beside it and never in it.

Each value is bound to its id, so that who writes the database cannot hand one source the credential of another. ``open_box``
blocks (disk). May import the settings' errors.
"""

from __future__ import annotations

import base64
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connector.protocol.errors import Unavailable
from connector.settings.secret import SettingsError, make_private, read_private

KEY_FILE: Final = "secrets.key"
"""In ``data_dir``, mode 0600. Without it no secret can be read any more."""
KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_SETTING: Final = "data_dir"


class SecretBox:
    """Seals and opens values. Neither its key nor a value is ever shown."""

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal(self, name: str, value: str) -> bytes:
        """``value`` as it may be stored under ``name``."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, value.encode(), name.encode())

    def unseal(self, name: str, sealed: bytes) -> str:
        """The value that was sealed under ``name``. Raises Unavailable where this key does not open it."""
        try:
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode()).decode()
        except (InvalidTag, ValueError):
            said = f"the secret {name:.80} was sealed with another key; bring {KEY_FILE} back, or write the secret again"
            raise Unavailable("secret-sealed", said) from None


def open_box(data_dir: Path) -> SecretBox:
    """The box of a connector; its key is made where there is none yet. Raises SettingsError."""
    path = data_dir / KEY_FILE
    try:
        if not path.exists():
            make_private(path, base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())
    except OSError as error:
        raise SettingsError("secrets-key-unwritable", _SETTING, f"cannot make {KEY_FILE}: {error.strerror}") from error
    return SecretBox(_key(path))


def _key(path: Path) -> bytes:
    try:
        key = base64.b64decode(read_private(path, _SETTING).reveal(), validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingsError("secrets-key-invalid", _SETTING, f"{KEY_FILE} holds no key of {KEY_BYTES} bytes")
    return key
