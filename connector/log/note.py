"""Signed notes (C2SP signed-note, tlog-checkpoint, tlog-cosignature): the signed head of a log and who stands for it.

A note is a text, an empty line, and signature lines. A signature counts when its key name and key id are those of a verifier
that we were given; lines of others are let be, and one of a verifier of ours that does not hold refuses the note.
Pure (signatures of Ed25519 need no chance): no I/O, no clock. May import `merkle` and the errors.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from connector.log.merkle import HASH_BYTES, MAX_SIZE
from connector.protocol.errors import InvariantBroken, PeerError

ED25519: Final = 0x01
COSIGNATURE: Final = 0x04
"""tlog-cosignature: Ed25519 with the time, as a witness signs."""
MAX_NOTE_BYTES: Final = 65_536
MAX_SIGNATURES: Final = 64
MAX_NAME_CHARS: Final = 512

_NAME: Final = re.compile(rf"[\x21-\x2a\x2c-\x7e]{{1,{MAX_NAME_CHARS}}}")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_VKEY: Final = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")
_HOST: Final = re.compile(r"[A-Za-z0-9._~-]+(?::[0-9]{1,5})?")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._~-]+")
_DASH: Final = "\u2014 "
_KEY_ID_BYTES: Final = 4
_SIGNATURE_BYTES: Final = 64
_TIME_BYTES: Final = 8


class NoteRefused(PeerError):
    """A note is not what it should be, or not signed by whom it should be."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A key that signs notes. ``kind`` is ED25519 or COSIGNATURE, ``public`` the 32 bytes of the key."""

    name: str
    kind: int
    public: bytes

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise NoteRefused("key-name", "a key name has neither spaces nor + and is ASCII")
        if self.kind not in (ED25519, COSIGNATURE) or len(self.public) != 32:
            raise NoteRefused("key-kind", "only Ed25519 keys, for notes (1) and for cosignatures (4), are known here")

    @property
    def key_id(self) -> bytes:
        """signed-note, "Signatures": four bytes out of the name, the kind and the key."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:_KEY_ID_BYTES]

    @property
    def vkey(self) -> str:
        """The key as text, to be handed on."""
        return f"{self.name}+{self.key_id.hex()}+{_base64(bytes([self.kind]) + self.public)}"

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """Of a vkey. Raises NoteRefused."""
        found = _VKEY.fullmatch(text) if len(text) <= MAX_NAME_CHARS + 64 else None
        if found is None:
            raise NoteRefused("vkey-form", "a verifier key is name+key id+base64")
        material = _bytes_of(found[3], "vkey-form")
        made = cls(found[1], material[0] if material else 0, material[1:])
        if made.key_id.hex() != found[2]:
            raise NoteRefused("vkey-id", "the key id does not belong to the key")
        return made

    def verify(self, body: str, signature: bytes) -> int | None:
        """What follows the key id holds for this body: gives the time (s) of a cosignature, else None. Raises NoteRefused."""
        time_s = None
        message = body.encode()
        if self.kind == COSIGNATURE:
            time_s = int.from_bytes(signature[:_TIME_BYTES], "big")
            if time_s > MAX_SIZE:
                raise NoteRefused("signature-time", f"the cosignature of {self.name} has no possible time")
            signature, message = signature[_TIME_BYTES:], _cosigned(body, time_s)
        if len(signature) != _SIGNATURE_BYTES:
            raise NoteRefused("signature-form", f"the signature of {self.name} has another length")
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError) as error:
            raise NoteRefused("signature-wrong", f"the signature of {self.name} does not hold") from error
        return time_s


@dataclass(frozen=True, slots=True)
class NoteSigner:
    """Who signs: the key of a log under the log's origin, or of a witness under the witness's name."""

    name: str
    key: Ed25519PrivateKey = field(repr=False)

    @property
    def verifier(self) -> Verifier:
        """Who checks its signatures."""
        return Verifier(self.name, ED25519, self.key.public_key().public_bytes_raw())

    @property
    def cosigner(self) -> Verifier:
        """Who checks its cosignatures."""
        return Verifier(self.name, COSIGNATURE, self.key.public_key().public_bytes_raw())


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """tlog-checkpoint: the head of a log. Ours have no ``extension`` lines."""

    origin: str
    size: int
    root: bytes
    extension: tuple[str, ...] = ()

    @property
    def body(self) -> str:
        """The text that is signed."""
        return "".join(f"{line}\n" for line in (self.origin, self.size, _base64(self.root), *self.extension))

    @classmethod
    def parse(cls, body: str) -> Checkpoint:
        """Of the text of a note, which must be exactly what `body` gives. Raises NoteRefused."""
        _check_text(body)
        lines = body.split("\n")
        if len(lines) < 4 or lines.pop() or not all(lines):
            raise NoteRefused("checkpoint-form", "a checkpoint has at least three lines, none of them empty")
        if _NUMBER.fullmatch(lines[1]) is None or int(lines[1]) > MAX_SIZE:
            raise NoteRefused("checkpoint-size", "the size is a decimal number without leading zeros")
        root = _bytes_of(lines[2], "checkpoint-root")
        if len(root) != HASH_BYTES:
            raise NoteRefused("checkpoint-root", f"a root has {HASH_BYTES} bytes")
        return cls(lines[0], int(lines[1]), root, tuple(lines[3:]))


@dataclass(frozen=True, slots=True)
class Verified:
    """One signature that holds. ``time_s`` (s since the epoch) is there for a cosignature."""

    verifier: Verifier
    time_s: int | None


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint and the signatures that hold for it, at least one, in the order of their lines."""

    checkpoint: Checkpoint
    verified: tuple[Verified, ...]


def signed(checkpoint: Checkpoint, signers: Sequence[NoteSigner]) -> str:
    """The note of a checkpoint of ours."""
    if not signers or any(signer.name != checkpoint.origin for signer in signers):
        raise InvariantBroken("log-origin", "a checkpoint is signed by keys that have the name of its log")
    body = checkpoint.body
    if Checkpoint.parse(body) != checkpoint:
        raise InvariantBroken("log-checkpoint", "this is no checkpoint")
    lines = [_line(signer.verifier, signer.key.sign(body.encode())) for signer in signers]
    return f"{body}\n" + "".join(f"{line}\n" for line in lines)


def cosignature(note_body: str, signer: NoteSigner, time_s: int) -> str:
    """The line (without its newline) by which a witness stands for a checkpoint at a time (s). Raises NoteRefused."""
    Checkpoint.parse(note_body)
    if not 0 <= time_s <= MAX_SIZE:
        raise InvariantBroken("cosignature-time", "the time of a cosignature is out of range")
    made = signer.key.sign(_cosigned(note_body, time_s))
    return _line(signer.cosigner, time_s.to_bytes(_TIME_BYTES, "big") + made)


def body_of(note: str) -> str:
    """The signed text of a note, not verified. Raises NoteRefused."""
    return _split(note)[0]


def lines_of(note: str) -> list[str]:
    """The signature lines of a note (without newlines), not verified. Raises NoteRefused."""
    return _split(note)[1]


def with_lines(note: str, lines: Iterable[str]) -> str:
    """The note with these signature lines (without newlines); one of a key that has signed already takes the place of the
    older. Raises NoteRefused for what is no signature line."""
    body, there = _split(note)
    kept = {_signature(line)[:2]: line for line in (*there, *lines)}
    made = f"{body}\n" + "".join(f"{line}\n" for line in kept.values())
    _split(made)
    return made


def opened(note: str, verifiers: Sequence[Verifier]) -> Opened:
    """The checkpoint of a note that at least one of the verifiers has signed. Who needs a certain one looks into ``verified``.

    Signatures of unknown keys are ignored. Refused: a known key's that does not hold, or that is there twice; a log key (kind
    ED25519) on a checkpoint of another origin than its name.
    """
    known = {(each.name, each.key_id): each for each in verifiers}
    if len(known) != len(set(verifiers)):
        raise NoteRefused("key-ambiguous", "two different keys have the same name and key id")
    body, lines = _split(note)
    checkpoint = Checkpoint.parse(body)
    verified: dict[Verifier, Verified] = {}
    for line in lines:
        name, key_id, signature = _signature(line)
        verifier = known.get((name, key_id))
        if verifier is None:
            continue
        if verifier in verified:
            raise NoteRefused("signature-twice", f"{name} signs twice with the same key")
        if verifier.kind == ED25519 and name != checkpoint.origin:
            raise NoteRefused("note-origin", f"{name} signs a checkpoint of another log")
        verified[verifier] = Verified(verifier, verifier.verify(body, signature))
    if not verified:
        raise NoteRefused("note-unsigned", "none of the expected keys has signed")
    return Opened(checkpoint, tuple(verified.values()))


def origin_of(participant_id: str) -> str:
    """The origin of a participant's log, which is the name of its keys, too.

    Of a did:web it is what the DID says, ``host[:port][/path]/log``; of another id, or of a DID that says something unusual, the
    percent-encoded id. Two DIDs never have the same origin. Raises NoteRefused for an id that is empty or too long.
    """
    encoded = quote(participant_id, safe="")
    origin = f"{_place_of(participant_id) or encoded}/log"
    if not encoded or len(origin) > MAX_NAME_CHARS:
        raise NoteRefused("origin", f"the id of a participant with a log has 1 to {MAX_NAME_CHARS - 4} characters")
    return origin


def _place_of(participant_id: str) -> str | None:
    method = "did:web:"
    if not participant_id.startswith(method):
        return None
    host, *path = participant_id.removeprefix(method).split(":")
    # Only the one escape that did:web asks for; any other could make two DIDs into one place.
    host = re.sub("%3a", ":", host, flags=re.IGNORECASE)
    plain = _HOST.fullmatch(host) and all(_SEGMENT.fullmatch(each) for each in path)
    return "/".join((host, *path)) if plain else None


def _split(note: str) -> tuple[str, list[str]]:
    _check_text(note)
    at = note.rfind("\n\n")
    if at < 0 or not note.endswith("\n"):
        raise NoteRefused("note-form", "a note is a text, an empty line and signature lines")
    lines = note[at + 2 :].split("\n")[:-1]
    if not 0 < len(lines) <= MAX_SIGNATURES:
        raise NoteRefused("note-form", f"a note has 1 to {MAX_SIGNATURES} signature lines")
    for line in lines:
        _signature(line)
    return note[: at + 1], lines


def _check_text(text: str) -> None:
    # Characters first: the bytes of a text that is far too long are not even made.
    if len(text) > MAX_NOTE_BYTES or any(character < " " and character != "\n" for character in text):
        raise NoteRefused("note-form", f"a note has {MAX_NOTE_BYTES} bytes at most and no control characters")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise NoteRefused("note-form", "a note is valid UTF-8") from error
    if size > MAX_NOTE_BYTES:
        raise NoteRefused("note-form", f"a note has {MAX_NOTE_BYTES} bytes at most")


def _signature(line: str) -> tuple[str, bytes, bytes]:
    """The key name, the key id and what follows it."""
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not name or "+" in name or any(character.isspace() for character in name):
        raise NoteRefused("signature-form", "a signature line is a dash, a key name and a base64 text")
    decoded = _bytes_of(encoded, "signature-form")
    if len(decoded) <= _KEY_ID_BYTES:
        raise NoteRefused("signature-form", "there is no signature after the key id")
    return name, decoded[:_KEY_ID_BYTES], decoded[_KEY_ID_BYTES:]


def _line(verifier: Verifier, signature: bytes) -> str:
    return f"{_DASH}{verifier.name} {_base64(verifier.key_id + signature)}"


def _cosigned(body: str, time_s: int) -> bytes:
    """tlog-cosignature, "Ed25519 signed message"."""
    return f"cosignature/v1\ntime {time_s}\n{body}".encode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes_of(text: str, code: str) -> bytes:
    """Of canonical base64 only: otherwise the same note could have many texts."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteRefused(code, "this is no base64") from error
    if _base64(decoded) != text:
        raise NoteRefused(code, "base64 must be in its one canonical form")
    return decoded
