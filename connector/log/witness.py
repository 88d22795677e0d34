"""What a witness asks of a checkpoint that it is shown, in one order, in one place; and what it signs.

A witness has one participant's log in view. It cosigns what is signed by that log, at a time that the log states itself, and
extends what the witness saw before. What contradicts that and is signed is a split view: both notes together convict the log.
What merely cannot be verified convicts nobody and is refused. Pure: no I/O, no clock. May import `merkle`, `note`, `proofs` and
`leaf`.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from connector.log.leaf import unfit
from connector.log.merkle import HASH_BYTES, ProofWrong, check_consistency
from connector.log.note import (
    COSIGNATURE,
    ED25519,
    Checkpoint,
    NoteRefused,
    NoteSigner,
    Opened,
    Verifier,
    body_of,
    cosignature,
    lines_of,
    opened,
    with_lines,
)
from connector.log.proofs import check_tlog_proof, read_tlog_proof
from connector.protocol.errors import PeerError

LEEWAY_S: Final = 300
"""How far ahead of ours the clock of a log may be (s)."""


class WitnessRefused(PeerError):
    """It cannot be cosigned: ``code`` names the step that it does not pass, ``reason`` what would."""


class SplitView(PeerError):
    """The log has signed what cannot both be true. ``code`` says how."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A checkpoint as it is shown. ``old_root`` is what the log says that its root was at ``old_size``."""

    note: str
    old_size: int
    old_root: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """A checkpoint that was cosigned. ``time_s`` is when the log says that it showed it (s since the epoch)."""

    note: str
    size: int
    root: bytes
    time_s: int


def timed(note: str, signer: NoteSigner, time_s: int) -> str:
    """The note with the time at which its log shows it.

    The log's key signs that as a cosignature under the log's own name: "at this time this was the largest tree". A smaller tree
    at a later time is then a contradiction that everybody can check.
    """
    return with_lines(note, [cosignature(body_of(note), signer, time_s)])


def witness_name(origin: str) -> str:
    """The key name under which the log's owner cosigns others' logs.

    The key is the same: a cosignature signs another message than a checkpoint does (tlog-cosignature, "Ed25519 signed message"),
    so that neither can pass for the other.
    """
    return f"{origin}/witness"


def keys_under(names: Sequence[str], publics: Sequence[bytes]) -> list[Verifier]:
    """Verifiers of these keys (32 bytes each) under these names, of both kinds. Raises NoteRefused for no possible name."""
    kinds = (ED25519, COSIGNATURE)
    return list(dict.fromkeys(Verifier(name, kind, public) for name in names for kind in kinds for public in publics))


def judge(shown: Shown, seen: Seen | None, origin: str, publics: Sequence[bytes], now_s: int) -> Seen:
    """What is to be cosigned. ``publics`` are the keys that the participant publishes for its log, ``origin`` what its log is to
    be called. Raises WitnessRefused and SplitView."""
    # 1. A checkpoint, signed by a key of its log (tlog-checkpoint).
    found = _opened(shown.note, publics)
    checkpoint = found.checkpoint
    # 2. Of the log that we know: who changes its name begins another log beside it.
    if checkpoint.origin != origin:
        if seen is not None:
            raise SplitView("origin-changed", f"it signs as {checkpoint.origin:.200}, and before as {origin:.200}")
        raise WitnessRefused("checkpoint-origin", f"the origin of your log must be {origin:.200}")
    # 3. Shown at a time that the log states, and not in the future.
    time_s = _time_of(found, now_s)
    # 4. Something to witness. What the first checkpoint says is believed; it binds what comes after it.
    if checkpoint.size == 0:
        raise WitnessRefused("checkpoint-empty", "there is nothing in this log to witness yet")
    made = Seen(shown.note, checkpoint.size, checkpoint.root, time_s)
    if seen is None:
        if shown.old_size != 0:
            raise WitnessRefused("old-size", "nothing of your log is known here; show it from size 0")
        return made
    # 5. The same tree again.
    if made.size == seen.size:
        if made.root != seen.root:
            raise SplitView("same-size", f"it has signed two trees of {made.size} leaves with different roots")
        return made if made.time_s > seen.time_s else seen
    # 6. A smaller tree: an old checkpoint, or leaves were taken away.
    if made.size < seen.size:
        if made.time_s > seen.time_s:
            raise SplitView("smaller-later", f"it had {seen.size} leaves, and later {made.size}")
        raise WitnessRefused("checkpoint-stale", f"a later checkpoint of {seen.size} leaves was seen; show the newest")
    # 7. A larger tree that begins with what was seen.
    _check_extends(shown, seen, made)
    return made


def _opened(note: str, publics: Sequence[bytes]) -> Opened:
    try:
        named = Checkpoint.parse(body_of(note)).origin
        found = opened(note, keys_under([named], publics))
    except NoteRefused as refused:
        raise WitnessRefused("checkpoint-signature", f"{refused.reason} ({refused.code})") from refused
    if not any(each.verifier.kind == ED25519 for each in found.verified):
        raise WitnessRefused("checkpoint-signature", "the key of the log has not signed the checkpoint itself")
    return found


def _time_of(found: Opened, now_s: int) -> int:
    time_s = max((each.time_s for each in found.verified if each.time_s is not None), default=None)
    if time_s is None:
        raise WitnessRefused("checkpoint-time", "add the line of your log's key that states when the checkpoint is shown")
    if time_s > now_s + LEEWAY_S:
        raise WitnessRefused("checkpoint-time", f"the checkpoint is shown {time_s - now_s} s from now; set your clock")
    return time_s


def _check_extends(shown: Shown, seen: Seen, made: Seen) -> None:
    if shown.old_size != seen.size:
        raise WitnessRefused("old-size", f"the proof must begin at {seen.size}, which was seen last")
    try:
        check_consistency(seen.size, seen.root, made.size, made.root, shown.proof)
    except ProofWrong as wrong:
        # A proof from another root holds: the new tree begins with leaves that are not those that were seen.
        if _holds(shown, made) and shown.old_root != seen.root:
            said = f"its tree of {made.size} leaves does not begin with the {seen.size} that were seen"
            raise SplitView("rewritten", said) from wrong
        raise WitnessRefused("proof", f"the proof of consistency does not hold: {wrong.reason} ({wrong.code})") from wrong


def _holds(shown: Shown, made: Seen) -> bool:
    try:
        check_consistency(shown.old_size, shown.old_root, made.size, made.root, shown.proof)
    except ProofWrong:
        return False
    return True


def cosigned(note: str, line: str, origin: str, publics: Sequence[bytes]) -> tuple[str, int]:
    """Our note with the line of a witness whose log is ``origin``, and when it signed (s). Raises NoteRefused."""
    name = witness_name(origin)
    verifiers = [Verifier(name, COSIGNATURE, public) for public in publics]
    # Of all that the witness gives us, only its own line is taken over.
    alone = with_lines(f"{body_of(note)}\n{line}\n", ())
    if lines_of(alone) != [line]:
        raise NoteRefused("signature-form", "a cosignature is one line")
    found = opened(alone, verifiers)
    return with_lines(note, [line]), max(each.time_s or 0 for each in found.verified)


def handed_over(text: str, origin: str, believed: Sequence[bytes]) -> bytes:
    """The new key of a log, which an old one announces: a ``.tlog-proof`` of the leaf ``log-key``, with the leaf as its extra
    data, under a checkpoint that both have signed. Raises WitnessRefused."""
    try:
        leaf = read_tlog_proof(text).extra
        _, head = check_tlog_proof(text, leaf, keys_under([origin], believed))
        said = orjson.loads(leaf)
        if not isinstance(said, dict) or said.get("type") != "log-key" or unfit(said) is not None:
            raise WitnessRefused("handover", "the leaf is none that announces a key")
        new = Verifier.parse(said["vkey"])
        opened(read_tlog_proof(text).note, [new])
    except (ProofWrong, NoteRefused, orjson.JSONDecodeError) as wrong:
        raise WitnessRefused("handover", f"the announcement of the key does not hold: {wrong}") from wrong
    old = any(each.verifier.kind == ED25519 for each in head.verified)
    if not old or head.checkpoint.origin != origin or (new.name, new.kind) != (origin, ED25519):
        raise WitnessRefused("handover", "the key is announced by another log")
    return new.public


def packed(hashes: Sequence[bytes]) -> str:
    """Hashes as a message has them: behind each other, in base64."""
    return base64.b64encode(b"".join(hashes)).decode()


def unpacked(text: str) -> tuple[bytes, ...]:
    """The hashes of a message. Raises WitnessRefused."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise WitnessRefused("proof", "the proof is no base64") from error
    if len(data) % HASH_BYTES:
        raise WitnessRefused("proof", f"the proof is hashes of {HASH_BYTES} bytes each")
    return tuple(data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES))
