"""The parts of a verification: the tree grown again at every size, keys that were revoked, a log that is being written."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.audit.ceremony import MAX_NOTES, Ceremony, Flaw, NotDone, NotProven, Place, Remarks
from connector.audit.lines import Line
from connector.audit.opening import MAX_MISSES, SubjectsKeys
from connector.audit.queue import is_written
from connector.audit.regrowing import Regrown
from connector.audit.verifying import Surroundings, Trust, verify_log
from connector.log.folder import LogFolder
from connector.log.layout import write_handover, write_vkeys
from connector.log.leaf import Draft
from connector.log.merkle import Edge, leaf_hash
from connector.log.note import signed
from connector.log.sealing import commitment, payload_key
from tests.audit.books import Book, signer


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512, 513, 1100])
def test_the_tree_has_the_root_of_every_size(size: int, tmp_path: Path) -> None:
    log, leaves = LogFolder(tmp_path), [f"{number}".encode() for number in range(size)]
    edge = log.append(Edge.empty(), leaves)
    tree = Regrown(log, range(size + 1))
    for start in range(0, size, 256):
        tree.take(leaves[start : start + 256])
    assert tree.end() == edge.root()
    grown = Edge.empty()
    for number, leaf in enumerate(leaves):
        assert tree.roots[number] == grown.root()
        grown = grown.extended([leaf_hash(leaf)])


@settings(max_examples=20, deadline=None)
@given(steps=st.lists(st.integers(1, 300), max_size=6))
def test_a_log_that_grew_in_any_steps_is_verified(steps: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    book = Book(tmp_path_factory.mktemp("log"))
    for step in steps:
        book.put([book.leaf(Draft("consents", {"ledger": number})) for number in range(step)])
    assert verify_log(book.folder).checkpoint.size == 1 + sum(steps)
    book.close()


def revoked(folder: Path, *, said: bool) -> Book:
    """A log whose first key was revoked: the next one signs alone."""
    book = Book(folder)
    after = signer(book.origin, 50)
    if said:
        book.write([Draft("key", {"change": "revoked", "use": "log"})])
    leaf = book.leaf(Draft("log-key", {"vkey": after.verifier.vkey}))
    book.signers.append(after)
    write_vkeys(folder, [each.verifier for each in book.signers])
    book.put([leaf])
    write_handover(folder, book.edge.size, signed(book.checkpoint, [after]))
    return book


def test_a_revoked_key_hands_nothing_over(tmp_path: Path) -> None:
    book = revoked(tmp_path / "log", said=True)
    done = verify_log(book.folder, Trust((book.signers[1].verifier.vkey,)))
    assert "revoked" in next(step.notes[0] for step in done.steps if step.name == "key-chain")
    with pytest.raises(NotProven) as raised:
        verify_log(book.folder, Trust((book.signers[0].verifier.vkey,)))
    assert raised.value.failed.code == "key-untrusted", "who knows the revoked key alone is told so"
    book.close()
    book = revoked(tmp_path / "silent", said=False)
    with pytest.raises(NotProven) as raised:
        verify_log(book.folder)
    assert raised.value.failed.code == "handover-missing", "no line says that it was revoked"
    book.close()


def test_a_log_that_is_being_written_is_not_damaged(tmp_path: Path) -> None:
    book = Book(tmp_path / "log")
    book.log.append(book.edge, [book.leaf(Draft("consents"))])
    with pytest.raises(NotProven) as raised:
        verify_log(book.folder)
    assert raised.value.failed.code == "entry-unsigned"
    with (book.folder / "lock").open("w") as lock:
        assert not is_written(book.folder)
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert is_written(book.folder)
        assert verify_log(book.folder).checkpoint.size == 1
    book.close()


def test_times_that_have_not_come_yet(tmp_path: Path) -> None:
    book = Book(tmp_path / "log")
    day_ms = 86_400_000
    assert verify_log(book.folder, None, Surroundings(now_ms=book.now_ms - day_ms)).checkpoint.size == 1
    with pytest.raises(NotProven) as raised:
        verify_log(book.folder, None, Surroundings(now_ms=book.now_ms - day_ms - 1))
    assert (raised.value.failed.code, str(raised.value.failed.place)) == ("time-ahead", "tile/entries, index 0, time")
    book.close()


def test_lines_may_tell_of_the_past_where_it_is_one(tmp_path: Path) -> None:
    book = Book(tmp_path / "log")
    book.write([Draft("key", {"change": "made", "use": "log"}, at=1), Draft("agreement", {"state": "held"}, at=2)])
    assert verify_log(book.folder).checkpoint.size == 3
    book.write([Draft("agreement", {"state": "made"}, at=2)])
    with pytest.raises(NotProven) as raised:
        verify_log(book.folder)
    assert raised.value.failed.code == "time-went-back"
    book.close()


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(NotProven) as raised:
        verify_log(tmp_path)
    assert (raised.value.failed.number, raised.value.failed.code) == (1, "checkpoint-missing")
    book = Book(tmp_path / "log")
    shutil.rmtree(book.folder / "tile")
    (book.folder / "log.vkey").unlink()
    with pytest.raises(NotProven) as raised:
        verify_log(book.folder)
    assert raised.value.failed.code == "key-missing"
    book.close()


def test_all_keys_are_tried_some_times_only() -> None:
    keys = [bytes([number]) * 32 for number in range(40)]
    found = SubjectsKeys(keys)

    def line(key: bytes, party: str = "p") -> Line:
        leaf_id = "urn:uuid:1"
        said = {"id": leaf_id, "party": party, "payload": {"key": commitment(payload_key(key, leaf_id))}}
        return Line(0, b"", said)

    assert found.key_of(line(keys[3])) == payload_key(keys[3], "urn:uuid:1")
    for _ in range(MAX_MISSES):
        assert found.key_of(line(b"x" * 32)) is None
    assert found.key_of(line(keys[3])) is not None, "what opened one already is tried always"
    assert found.key_of(line(keys[4])) is None
    assert found.key_of(line(keys[4]), thorough=True) is not None
    assert found.key_of(line(keys[5], "another")) is not None


def test_a_ceremony_ends_at_its_first_failure_and_counts_on() -> None:
    heard: list[int] = []
    outer = Ceremony(lambda step: heard.append(step.number))

    def many(remarks: Remarks) -> str:
        for number in range(MAX_NOTES + 2):
            remarks.add(str(number))
        return "done"

    def undone(remarks: Remarks) -> str:
        raise NotDone("nothing was given")

    def wrong(remarks: Remarks) -> str:
        raise Flaw("x-wrong", "it is wrong", Place("file", 3, "member"))

    outer.step("one", "one", many)
    inner = Ceremony()
    inner.step("two", "two", undone)
    outer.include(inner.steps)
    with pytest.raises(NotProven) as raised:
        outer.step("three", "three", wrong)
    assert [step.number for step in raised.value.steps] == [1, 2, 3]
    assert heard == [1, 2, 3]
    assert raised.value.steps[0].notes[-1] == "and 2 more of this kind"
    assert raised.value.failed.document() == {
        "step": 3,
        "name": "three",
        "title": "three",
        "result": "failed",
        "said": "it is wrong",
        "notes": [],
        "code": "x-wrong",
        "place": {"file": "file", "index": 3, "member": "member"},
    }
    assert str(raised.value) == "step 3, three: it is wrong [x-wrong]"
