"""What a witness asks, step by step; what convicts a log and what does not; and what a cosignature is."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from connector.log.folder import LogFolder
from connector.log.leaf import Draft, leaf_of
from connector.log.note import (
    Checkpoint,
    NoteRefused,
    NoteSigner,
    Verifier,
    body_of,
    cosignature,
    opened,
    signed,
    with_lines,
)
from connector.log.witness import (
    Seen,
    Shown,
    SplitView,
    WitnessRefused,
    cosigned,
    handed_over,
    judge,
    packed,
    timed,
    unpacked,
    witness_name,
)
from connector.log.witnessed import WitnessedLog
from tests.log.ledgers import SALT, Ledger

ORIGIN, WITNESS = "maker.example/log", "city.example/log"
NOW = 1_700_000_000


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "log", ORIGIN)


def judged(ledger: Ledger, shown: Shown, seen: Seen | None, now_s: int = NOW) -> Seen:
    return judge(shown, seen, ORIGIN, [ledger.public], now_s)


def seen_at(ledger: Ledger, size: int) -> Seen:
    """The log has grown to a size and was seen there."""
    ledger.fill(size - ledger.edge.size)
    return judged(ledger, ledger.shown(0, NOW), None)


def test_the_first_checkpoint_is_believed_and_binds(ledger: Ledger) -> None:
    seen = seen_at(ledger, 5)
    assert (seen.size, seen.root, seen.time_s) == (5, ledger.edge.root(), NOW)


@pytest.mark.parametrize(("old", "new"), [(1, 2), (2, 3), (3, 8), (4, 5), (4, 9), (7, 8), (8, 300), (255, 600), (256, 257)])
def test_a_log_that_grew_is_seen(ledger: Ledger, old: int, new: int) -> None:
    seen = seen_at(ledger, old)
    ledger.fill(new - old)
    assert judged(ledger, ledger.shown(old, NOW + 9), seen).size == new


@pytest.mark.parametrize(("old", "new"), [(1, 2), (2, 3), (3, 8), (4, 5), (4, 9), (7, 8), (8, 300), (256, 257)])
def test_a_history_that_was_rewritten_with_all_keys_convicts(ledger: Ledger, tmp_path: Path, old: int, new: int) -> None:
    seen = seen_at(ledger, old)
    ledger.begin_again(tmp_path / "other")
    ledger.fill(new, b"rewritten")
    with pytest.raises(SplitView) as caught:
        judged(ledger, ledger.shown(old, NOW + 9), seen)
    assert caught.value.code == "rewritten"


def test_a_second_tree_of_the_same_size_convicts(ledger: Ledger, tmp_path: Path) -> None:
    seen = seen_at(ledger, 5)
    ledger.begin_again(tmp_path / "other")
    ledger.fill(5, b"fork")
    with pytest.raises(SplitView) as caught:
        judged(ledger, ledger.shown(5, NOW), seen)
    assert caught.value.code == "same-size"


def test_a_cut_tail_convicts_and_a_replay_does_not(ledger: Ledger, tmp_path: Path) -> None:
    early = seen_at(ledger, 3)
    ledger.fill(4)
    seen = judged(ledger, ledger.shown(3, NOW + 10), early)
    with pytest.raises(WitnessRefused) as caught:
        judged(ledger, Shown(early.note, 0, bytes(32), ()), seen)
    assert caught.value.code == "checkpoint-stale"
    later = timed(early.note, ledger.signer, NOW + 11)
    with pytest.raises(SplitView) as convicted:
        judged(ledger, Shown(later, 0, bytes(32), ()), seen)
    assert convicted.value.code == "smaller-later"


def test_another_origin_convicts_who_was_seen_under_one(ledger: Ledger, tmp_path: Path) -> None:
    seen = seen_at(ledger, 5)
    ledger.begin_again(tmp_path / "other")
    ledger.origin = "maker.example/another/log"
    ledger.fill(6)
    with pytest.raises(SplitView) as caught:
        judged(ledger, ledger.shown(5, NOW), seen)
    assert caught.value.code == "origin-changed"
    with pytest.raises(WitnessRefused) as refused:
        judged(ledger, ledger.shown(0, NOW), None)
    assert refused.value.code == "checkpoint-origin"


def test_the_same_tree_again_is_seen_at_the_later_time(ledger: Ledger) -> None:
    seen = seen_at(ledger, 5)
    assert judged(ledger, ledger.shown(0, NOW + 7), seen).time_s == NOW + 7
    assert judged(ledger, ledger.shown(0, NOW - 7), seen) == seen


def garbled(shown: Shown) -> Shown:
    return replace(shown, proof=(bytes(32), *shown.proof[1:]))


REFUSED = [
    (lambda _, shown: garbled(shown), "proof"),
    (lambda _, shown: replace(shown, proof=()), "proof"),
    (lambda _, shown: replace(shown, proof=shown.proof * 40), "proof"),
    (lambda _, shown: replace(garbled(shown), old_root=bytes(32)), "proof"),
    (lambda _, shown: replace(shown, old_root=b""), None),
    (lambda _, shown: replace(shown, old_size=0), "old-size"),
    (lambda _, shown: replace(shown, old_size=7), "old-size"),
    (lambda _, shown: replace(shown, note="x" * 70_000), "checkpoint-signature"),
    (lambda _, shown: replace(shown, note=body_of(shown.note)), "checkpoint-signature"),
    (lambda _, shown: replace(shown, note=shown.note.replace("\n9\n", "\n8\n", 1)), "checkpoint-signature"),
    (lambda ledger, shown: replace(shown, note=signed(ledger.checkpoint, [ledger.signer])), "checkpoint-time"),
    (lambda ledger, shown: replace(shown, note=timed(shown.note, ledger.signer, NOW + 301)), "checkpoint-time"),
    (lambda ledger, shown: replace(shown, note=only_cosigned(ledger)), "checkpoint-signature"),
    (lambda _, shown: replace(shown, note=of_another(shown)), "checkpoint-signature"),
]


def only_cosigned(ledger: Ledger) -> str:
    return f"{ledger.checkpoint.body}\n{cosignature(ledger.checkpoint.body, ledger.signer, NOW)}\n"


def of_another(shown: Shown) -> str:
    stranger = NoteSigner(ORIGIN, Ed25519PrivateKey.generate())
    return timed(signed(Checkpoint.parse(body_of(shown.note)), [stranger]), stranger, NOW)


@pytest.mark.parametrize(("change", "code"), REFUSED)
def test_what_cannot_be_verified_convicts_nobody(ledger: Ledger, change: object, code: str | None) -> None:
    seen = seen_at(ledger, 5)
    ledger.fill(4)
    lie = change(ledger, ledger.shown(5, NOW))  # type: ignore[operator]
    if code is None:
        assert judged(ledger, lie, seen).size == 9
        return
    with pytest.raises(WitnessRefused) as caught:
        judged(ledger, lie, seen)
    assert caught.value.code == code


def test_an_empty_log_and_an_old_size_of_nobody_are_refused(ledger: Ledger) -> None:
    ledger.folder.append(ledger.edge, [])
    note = timed(signed(ledger.checkpoint, [ledger.signer]), ledger.signer, NOW)
    with pytest.raises(WitnessRefused, match="checkpoint-empty"):
        judged(ledger, Shown(note, 0, bytes(32), ()), None)
    ledger.fill(3)
    with pytest.raises(WitnessRefused, match="old-size"):
        judged(ledger, ledger.shown(2, NOW), None)


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6), pauses=st.integers(0, 3))
def test_whoever_appends_only_is_never_convicted(sizes: list[int], pauses: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("log"), ORIGIN)
    seen: Seen | None = None
    for number, size in enumerate(sizes):
        ledger.fill(size)
        seen = judged(ledger, ledger.shown(0 if seen is None else seen.size, NOW + number * pauses), seen)
        assert (seen.size, seen.root) == (ledger.edge.size, ledger.edge.root())


# -- cosignatures -----------------------------------------------------------------------------------------------------


def witnessed(ledger: Ledger) -> tuple[str, NoteSigner]:
    ledger.fill(3)
    note = ledger.folder.checkpoint()
    assert note is not None
    return note, NoteSigner(witness_name(WITNESS), Ed25519PrivateKey.generate())


def test_a_cosignature_stands_beside_the_signature_of_the_log(ledger: Ledger) -> None:
    note, witness = witnessed(ledger)
    publics = [witness.cosigner.public]
    both, time_s = cosigned(note, cosignature(body_of(note), witness, NOW), WITNESS, publics)
    assert time_s == NOW
    found = opened(both, [ledger.signer.verifier, witness.cosigner])
    assert [each.time_s for each in found.verified] == [None, NOW]
    # Whoever signs with the same key signs another message: neither passes for the other.
    with pytest.raises(NoteRefused, match="note-unsigned"):
        opened(both, [Verifier(witness_name(WITNESS), 1, witness.cosigner.public)])


def test_a_cosignature_of_another_key_name_or_checkpoint_is_refused(ledger: Ledger) -> None:
    note, witness = witnessed(ledger)
    line = cosignature(body_of(note), witness, NOW)
    stranger = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    with pytest.raises(NoteRefused):
        cosigned(note, line, WITNESS, [stranger])
    with pytest.raises(NoteRefused):
        cosigned(note, line, "other.example/log", [witness.cosigner.public])
    other = replace(ledger.checkpoint, size=4).body
    with pytest.raises(NoteRefused):
        cosigned(note, cosignature(other, witness, NOW), WITNESS, [witness.cosigner.public])
    for odd in ("", "\n", f"{line}\n{line}", f"{line}\n\n{line}", "— x", line[:-4]):
        with pytest.raises(NoteRefused):
            cosigned(note, odd, WITNESS, [witness.cosigner.public])


def test_hashes_of_a_message_are_read_back_or_refused() -> None:
    hashes = (b"a" * 32, b"b" * 32)
    assert unpacked(packed(hashes)) == hashes
    assert unpacked("") == ()
    for odd in ("AAAA", "é", "=", "A"):
        with pytest.raises(WitnessRefused):
            unpacked(odd)


# -- rotation ---------------------------------------------------------------------------------------------------------


def announced(ledger: Ledger, new: Ed25519PrivateKey, signers: list[NoteSigner]) -> str:
    """The log announces a key and publishes the checkpoint of that, signed by ``signers``."""
    vkey = NoteSigner(ledger.origin, new).verifier.vkey
    leaf = leaf_of(Draft("log-key", {"vkey": vkey}), f"urn:uuid:{'0' * 8}-0000-4000-8000-{'0' * 12}", NOW * 1000, SALT, None)
    ledger.edge = ledger.folder.append(ledger.edge, [b"before", leaf, b"after"])
    note = signed(ledger.checkpoint, signers)
    ledger.folder.publish(note)
    (ledger.folder.path / "handover").mkdir()
    (ledger.folder.path / "handover" / str(ledger.edge.size)).write_text(note)
    return ledger.witnessed.handover(3)


def test_a_key_that_the_old_one_announces_is_believed(ledger: Ledger) -> None:
    ledger.fill(3)
    new = Ed25519PrivateKey.generate()
    text = announced(ledger, new, [ledger.signer, NoteSigner(ORIGIN, new)])
    assert handed_over(text, ORIGIN, [ledger.public]) == new.public_key().public_bytes_raw()
    assert ledger.witnessed.handover(ledger.edge.size) == ""


def test_a_key_that_nobody_announced_is_not(ledger: Ledger) -> None:
    ledger.fill(3)
    new = Ed25519PrivateKey.generate()
    text = announced(ledger, new, [ledger.signer, NoteSigner(ORIGIN, new)])
    alone = signed(ledger.checkpoint, [NoteSigner(ORIGIN, new)])
    old_alone = signed(ledger.checkpoint, [ledger.signer])
    head = text.partition("\n\n")[0]
    lies = [f"{head}\n\n{alone}", f"{head}\n\n{old_alone}", text.replace("index 4", "index 5"), "", text[:-3]]
    other = orjson.dumps({"type": "log-key", "vkey": NoteSigner("other.example/log", new).verifier.vkey})
    lies.append(text.replace(text.split("\n")[1], f"extra {packed([other])}"))
    for lie in lies:
        with pytest.raises(WitnessRefused, match="handover"):
            handed_over(lie, ORIGIN, [ledger.public])
    with pytest.raises(WitnessRefused, match="handover"):
        handed_over(text, "other.example/log", [ledger.public])


def test_what_witnesses_sign_is_kept_beside_the_log(ledger: Ledger) -> None:
    note, witness = witnessed(ledger)
    line = cosignature(body_of(note), witness, NOW)
    both = with_lines(note, [line])
    for _ in range(2):
        ledger.witnessed.keep_cosigned(3, "did:web:city", both)
        ledger.witnessed.keep_seen("did:web:city", 7, note)
        ledger.witnessed.keep_split("did:web:city", 9, b"{}")
    kept = sorted(str(path.relative_to(ledger.path)).split("/")[0] for path in ledger.path.rglob("*") if path.is_file())
    assert [name for name in kept if name in ("cosigned", "seen", "split")] == ["cosigned", "seen", "split"]
    (found,) = (ledger.path / "cosigned").iterdir()
    assert found.read_text() == both
    assert found.name.startswith("3.")
    assert found.stat().st_mode & 0o777 == 0o600


def test_of_too_many_checkpoints_those_that_were_seen_first_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the log of somebody began again, and is smaller than it was."""
    monkeypatch.setattr("connector.log.witnessed.SEEN_MOST", 3)
    log = WitnessedLog(LogFolder(tmp_path), lambda: SALT)
    for moment, size in enumerate((100, 200, 300, 5, 7)):
        log.keep_seen("did:web:city", size, f"note of {size}")
        os.utime(next((tmp_path / "seen").rglob(str(size))), ns=(moment, moment))
    assert sorted(path.name for path in (tmp_path / "seen").rglob("*") if path.is_file()) == ["300", "5", "7"]
