"""What opens the sources of others: written down sealed (AES-256-GCM), with a key in a file of its own that only we may read.

Who has the database has no credential without that file. May import the settings' secrets and `cryptography`.
"""

from __future__ import annotations

import secrets
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connector.settings.secret import SettingsError, make_private, read_token

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32


class Unsealable(Exception):
    """It was sealed with another key, about something else, or was changed."""


class Sealer:
    """Seals texts about something; what was sealed about one thing is nothing about another."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    @classmethod
    def of(cls, file: Path) -> Sealer:
        """With the key in a file, which is made where there is none yet. Raises SettingsError. Blocks."""
        try:
            if not file.exists():
                make_private(file, secrets.token_urlsafe(KEY_BYTES))
        except OSError as error:
            raise SettingsError("secret-unwritable", str(file), f"cannot make {file.name}: {error.strerror}") from error
        return cls(sha256(b"carnet http sources\0" + read_token(file, str(file)).reveal().encode()).digest())

    def seal(self, text: bytes, about: str) -> bytes:
        """The text, to be read by who has the key and names the same thing."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text, about.encode())

    def unseal(self, sealed: bytes, about: str) -> bytes:
        """The text again. Raises Unsealable."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], about.encode())
        except (InvalidTag, ValueError):
            raise Unsealable(about) from None
