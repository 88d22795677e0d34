"""The index of the vehicles that a line of the log is about: encrypted beside the log, its digest in the leaf.

For each vehicle it has a tag, made with the vehicle's own key and the process that the leaf names. Who has the key of a vehicle
finds it; once that key is erased nobody does, and the proof of the index remains. Tags of one vehicle in two indexes have
nothing in common. Pure: no I/O, no clock, no chance. May import the errors.
"""

from __future__ import annotations

import hmac
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connector.protocol.errors import CarnetError

TAG_BYTES: Final = 16
NAME_DIGITS: Final = 32
MAX_VEHICLES: Final = 2_000_000
"""Of one index: 32 MB."""
_NONCE_BYTES: Final = 12
_SEAL_BYTES: Final = 16

Derive = Callable[[bytes], bytes]
"""What makes a secret of 32 bytes out of a label, always the same: `SubjectKeys.derived`."""


class IndexWrong(CarnetError):
    """An index that cannot be read: ``index-changed``."""


@dataclass(frozen=True, slots=True)
class SealedIndex:
    """An index as it stands beside the log. ``sha256`` (hex) is of ``ciphertext``; ``vehicles``: how many are in it."""

    sha256: str
    vehicles: int
    ciphertext: bytes = field(repr=False)


def vehicle_name(derive: Derive, vehicle: str) -> str:
    """The pseudonym of a vehicle in this log: 32 hex digits that say nothing to others.

    It stays the same as long as the file of subjects' keys does. An auditor asks by it (``carnet audit query vehicle``), and
    ``carnet subject name`` prints it: both come from here, as does the name of the vehicle's key (`subject_name`).
    """
    return derive(b"vehicle name\0" + vehicle.encode("utf-8", "surrogatepass"))[: NAME_DIGITS // 2].hex()


def subject_name(name: str) -> str:
    """By which name `SubjectKeys` has the key of the vehicle with this pseudonym."""
    return f"vehicle:{name}"


def tag(key: bytes, context: str) -> bytes:
    """What stands for the vehicle with this key in the index of a process."""
    return hmac.digest(key, b"index\0" + context.encode(), "sha256")[:TAG_BYTES]


def sealed_index(derive: Derive, context: str, keys: Iterable[bytes]) -> SealedIndex:
    """The index of a process (``context``: its id) and the vehicles with these keys; of the same ones the same bytes."""
    about = b"index\0" + context.encode()
    tags = sorted({hmac.digest(key, about, "sha256")[:TAG_BYTES] for key in keys})
    content = b"".join(tags)
    secret = _secret(derive, context)
    # From key and content: two contents under one key never share a nonce.
    nonce = hmac.digest(secret, b"carnet nonce" + content, "sha256")[:_NONCE_BYTES]
    ciphertext = nonce + AESGCM(secret).encrypt(nonce, content, context.encode())
    return SealedIndex(sha256(ciphertext).hexdigest(), len(tags), ciphertext)


def opened_index(derive: Derive, context: str, ciphertext: bytes) -> bytes:
    """The tags of an index, ascending, one after the other. Raises IndexWrong if it is not as it was sealed for this process."""
    if len(ciphertext) < _NONCE_BYTES + _SEAL_BYTES:
        raise IndexWrong("index-changed", "the index of vehicles is too short to be one")
    nonce, rest = ciphertext[:_NONCE_BYTES], ciphertext[_NONCE_BYTES:]
    try:
        return AESGCM(_secret(derive, context)).decrypt(nonce, rest, context.encode())
    except InvalidTag:
        raise IndexWrong("index-changed", "the index of vehicles is not as it was sealed, or is of another process") from None


def holds(tags: bytes, key: bytes, context: str) -> bool:
    """Whether the vehicle with this key is among the tags of an opened index."""
    wanted = tag(key, context)
    places = range(len(tags) // TAG_BYTES)
    place = bisect_left(places, wanted, key=lambda at: tags[at * TAG_BYTES : (at + 1) * TAG_BYTES])
    return tags[place * TAG_BYTES : (place + 1) * TAG_BYTES] == wanted


def _secret(derive: Derive, context: str) -> bytes:
    return derive(b"vehicle index\0" + context.encode())
