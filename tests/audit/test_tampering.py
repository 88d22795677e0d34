"""Every class of bytes of a log changed, dropped, swapped or replayed: found, and the place is named."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest

from catalog.canonical import canonical_bytes
from connector.audit.ceremony import NotProven, Step
from connector.audit.opening import NoKeys, SubjectsKeys
from connector.audit.verifying import Surroundings, Trust, Verified, verify_log
from connector.log.leaf import Draft
from connector.log.note import Checkpoint, body_of, lines_of, signed, with_lines
from connector.log.tiles import decode_bundle, encode_bundle
from tests.audit.books import CITY, T0, Book, signer, whole

SIZE = 309


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Book, Book]:
    """A provider's log, cosigned by the city, which keeps copies."""
    folder = tmp_path_factory.mktemp("logs")
    book = whole(folder / "oem")
    city = Book(folder / "city", did=CITY, origin="city.example/log", seed=5)
    book.cosigned_by(city, T0 // 1000 + 400)
    book.close()
    city.close()
    return book, city


@pytest.fixture
def copy(pair: tuple[Book, Book], tmp_path: Path) -> Path:
    return Path(shutil.copytree(pair[0].folder, tmp_path / "log"))


def verified(folder: Path, pair: tuple[Book, Book], **more: Any) -> Verified:
    book, city = pair
    keys = SubjectsKeys(book.keys)
    trust = {"keys": (book.signers[0].verifier.vkey,), "witnesses": (city.vkey,)} | more
    return verify_log(folder, Trust(**trust), Surroundings(keys=keys))


def found(folder: Path, pair: tuple[Book, Book], **more: Any) -> tuple[str, str, str]:
    """Step, code and place of the first flaw."""
    with pytest.raises(NotProven) as raised:
        verified(folder, pair, **more)
    step = raised.value.failed
    assert step.place is not None
    return step.name, step.code, str(step.place)


def results(steps: tuple[Step, ...]) -> dict[str, str]:
    return {step.name: step.result for step in steps}


def test_a_whole_log_passes_every_step(pair: tuple[Book, Book]) -> None:
    done = verified(pair[0].folder, pair, seen=(pair[1].folder / "seen",))
    assert [step.number for step in done.steps] == list(range(1, 15))
    assert {name for name, result in results(done.steps).items() if result != "passed"} == {"queue"}
    assert (done.checkpoint.size, len(done.keys)) == (SIZE, 2)


def test_the_keys_beside_the_log_are_taken_with_a_remark(pair: tuple[Book, Book]) -> None:
    done = verified(pair[0].folder, pair, keys=())
    (step,) = [step for step in done.steps if step.name == "key"]
    assert "--key" in step.notes[0]


def flip(path: Path, at: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def letter(path: Path, at: int) -> None:
    """Another letter of base64 in the place of one."""
    content = bytearray(path.read_bytes())
    content[at] = ord("B") if content[at] == ord("A") else ord("A")
    path.write_bytes(content)


def bundle(path: Path, change: Callable[[list[bytes]], object]) -> None:
    entries = decode_bundle(path.read_bytes())
    change(entries)
    path.write_bytes(encode_bundle(entries))


def swap(rows: list[bytes], one: int, other: int) -> None:
    rows[one], rows[other] = rows[other], rows[one]


FIRST, LAST = "tile/entries/000", "tile/entries/001.p/53"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda log: flip(log / FIRST, 3), "tile/0/000, index 0"),
        (lambda log: bundle(log / FIRST, lambda rows: swap(rows, 7, 9)), "tile/0/000, index 7"),
        (lambda log: bundle(log / FIRST, lambda rows: rows.__setitem__(9, rows[8])), "tile/0/000, index 9"),
        (lambda log: bundle(log / FIRST, lambda rows: rows.pop(100)), "tile/entries/000"),
        (lambda log: bundle(log / LAST, lambda rows: rows.pop()), "tile/entries/001.p/53"),
        (lambda log: (log / FIRST).unlink(), "tile/entries/000"),
        (lambda log: shutil.copy(log / LAST, log / FIRST), "tile/entries/000"),
        (lambda log: flip(log / "tile/0/000", 32 * 40), "tile/0/000, index 40"),
        (lambda log: flip(log / "tile/0/001.p/53"), "tile/0/001.p/53, index 308"),
        (lambda log: flip(log / "tile/1/000.p/1"), "tile/1/000.p/1, index 0"),
        (lambda log: (log / "tile/1/000.p/1").unlink(), "tile/1/000.p/1"),
        (lambda log: (log / "tile/0/000").write_bytes(b""), "tile/0/000"),
    ],
    ids=["leaf", "swapped", "replayed", "dropped", "cut", "missing", "other", "tile", "partial", "upper", "no-upper", "empty"],
)
def test_entries_and_tiles(change: Callable[[Path], object], place: str, copy: Path, pair: tuple[Book, Book]) -> None:
    change(copy)
    step, _, where = found(copy, pair)
    assert step == "entries"
    assert where.startswith(place)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def without_signature(path: Path, number: int) -> None:
    body, lines = body_of(path.read_text()), lines_of(path.read_text())
    lines.pop(number)
    path.write_text(f"{body}\n" + "".join(f"{line}\n" for line in lines or ["\u2014 x.example/log AAAAAAAA"]))


@pytest.mark.parametrize(
    ("change", "step", "code"),
    [
        (lambda path: edit(path, f"\n{SIZE}\n", f"\n{SIZE - 1}\n"), "signature", "signature-wrong"),
        (lambda path: edit(path, "oem.example/log\n", "oem.examplf/log\n"), "key", "key-foreign"),
        (lambda path: letter(path, 30), "signature", "signature-wrong"),
        (lambda path: letter(path, -8), "signature", "signature-wrong"),
        (lambda path: without_signature(path, 0), "signature", "note-unsigned"),
        (lambda path: path.write_text(""), "checkpoint", "note-form"),
        (lambda path: path.unlink(), "checkpoint", "checkpoint-missing"),
    ],
    ids=["size", "origin", "root", "signature", "unsigned", "empty", "missing"],
)
def test_the_checkpoint(change: Callable[[Path], object], step: str, code: str, copy: Path, pair: tuple[Book, Book]) -> None:
    change(copy / "checkpoint")
    assert found(copy, pair) == (step, code, found(copy, pair)[2])
    assert found(copy, pair)[2] in ("checkpoint", "log.vkey, index 0")


def test_an_older_checkpoint_leaves_entries_unsigned(copy: Path, pair: tuple[Book, Book]) -> None:
    shutil.copy(copy / "handover" / "307", copy / "checkpoint")
    assert found(copy, pair) == ("surplus", "entry-unsigned", "tile/entries, index 307")


def test_an_entry_behind_the_end(copy: Path, pair: tuple[Book, Book]) -> None:
    source = copy / LAST
    entries = [*decode_bundle(source.read_bytes()), b"{}"]
    source.with_name("54").write_bytes(encode_bundle(entries))
    assert found(copy, pair) == ("surplus", "entry-unsigned", f"tile/entries, index {SIZE}")


def test_older_partial_files_are_beginnings(copy: Path, pair: tuple[Book, Book]) -> None:
    flip(copy / "tile/entries/001.p/51", 60)
    assert found(copy, pair)[1:] == ("partial-mismatch", "tile/entries/001.p/51")


def test_what_is_no_file_of_a_log(copy: Path, pair: tuple[Book, Book]) -> None:
    (copy / "tile" / "0" / "note.txt").write_text("x")
    assert found(copy, pair)[1:] == ("file-unknown", "tile/0/note.txt")


def rows(folder: Path) -> list[tuple[bytes, bytes]]:
    with closing(sqlite3.connect(folder / "payloads.db")) as connection:
        return connection.execute("SELECT sha256, ciphertext FROM payload ORDER BY sha256").fetchall()


def write(folder: Path, sql: str, *params: bytes) -> None:
    with closing(sqlite3.connect(folder / "payloads.db")) as connection, connection:
        connection.execute(sql, params)


def digest_of(pair: tuple[Book, Book], wanted: str, member: str) -> tuple[int, bytes]:
    """Number of the first line of a type, and the digest in it."""
    for number, raw in enumerate(pair[0].log.entries(0, SIZE)):
        said = orjson.loads(raw)
        if said["type"] == wanted:
            return number, bytes.fromhex(said["payload"]["sha256"] if member == "payload" else said[member])
    raise AssertionError(wanted)


@pytest.mark.parametrize(("kind", "member", "named"), [("agreement", "payload", "payload.sha256"), ("receipt", "index", "index")])
@pytest.mark.parametrize("how", ["changed", "dropped", "swapped"])
def test_rows_beside_the_log(how: str, kind: str, member: str, named: str, copy: Path, pair: tuple[Book, Book]) -> None:
    number, digest = digest_of(pair, kind, member)
    other = next(row for row in rows(copy) if row[0] != digest)
    if how == "dropped":
        write(copy, "DELETE FROM payload WHERE sha256 = ?", digest)
    elif how == "swapped":
        write(copy, "UPDATE payload SET ciphertext = ? WHERE sha256 = ?", other[1], digest)
    else:
        changed = bytes(byte ^ 1 for byte in dict(rows(copy))[digest])
        write(copy, "UPDATE payload SET ciphertext = ? WHERE sha256 = ?", changed, digest)
    code = "payload-missing" if how == "dropped" else "payload-changed"
    assert found(copy, pair) == ("payloads", code, f"payloads.db, index {number}, {named}")


def test_no_payloads_at_all(copy: Path, pair: tuple[Book, Book]) -> None:
    (copy / "payloads.db").unlink()
    assert found(copy, pair) == ("payloads", "payloads-missing", "payloads.db")


def test_payloads_that_are_no_database(copy: Path, pair: tuple[Book, Book]) -> None:
    (copy / "payloads.db").write_bytes(b"nothing")
    assert found(copy, pair)[1:] == ("payloads-unusable", "payloads.db")


def the_cosigned(log: Path) -> Path:
    (path,) = (log / "cosigned").iterdir()
    return path


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda path: letter(path, -8), "signature-wrong"),
        (lambda path: edit(path, f"\n{SIZE}\n", f"\n{SIZE - 1}\n"), "signature-wrong"),
        (lambda path: without_signature(path, 1), "cosignature-missing"),
        (lambda path: without_signature(path, 0), "note-unsigned"),
        (lambda path: path.rename(path.with_name(path.name.replace(str(SIZE), "5"))), "checkpoint-renamed"),
        (lambda path: path.rename(path.with_name("x")), "file-unknown"),
        (lambda path: path.write_text(""), "note-form"),
    ],
    ids=["signature", "size", "dropped", "unsigned", "replayed", "unknown", "empty"],
)
def test_cosignatures(change: Callable[[Path], object], code: str, copy: Path, pair: tuple[Book, Book]) -> None:
    change(the_cosigned(copy))
    _, got, place = found(copy, pair)
    assert (got, place.split("/")[0]) == (code, "cosigned")


@pytest.mark.parametrize(
    ("change", "code", "place"),
    [
        (lambda path: path.unlink(), "handover-missing", "handover, index 306"),
        (lambda path: without_signature(path, 0), "handover-missing", "handover, index 306"),
        (lambda path: letter(path, -8), "signature-wrong", "handover/307"),
        (lambda path: shutil.copy(path, path.with_name("308")), "checkpoint-renamed", "handover/308"),
        (lambda path: path.rename(path.with_name("308")), "checkpoint-renamed", "handover/308, size"),
    ],
    ids=["dropped", "one-key", "changed", "replayed", "renamed"],
)
def test_handovers(
    change: Callable[[Path], object], code: str, place: str, copy: Path, pair: tuple[Book, Book], request: pytest.FixtureRequest
) -> None:
    change(copy / "handover" / "307")
    step, got, where = found(copy, pair)
    if request.node.callspec.id == "replayed":
        assert (step, got, where) == ("key-chain", "handover-surplus", place)
    else:
        assert (step, got, where) == ("key-chain", code, place)


def test_salt_and_list_of_keys(copy: Path, pair: tuple[Book, Book]) -> None:
    (copy / "salt").write_text(f"{'0' * 64}\n")
    assert found(copy, pair) == ("key-chain", "salt-changed", "salt")
    (copy / "salt").write_text("0\n")
    assert found(copy, pair)[1:] == ("salt-damaged", "salt")
    shutil.copy(pair[0].folder / "salt", copy / "salt")
    lines = (copy / "log.vkey").read_text().splitlines()
    (copy / "log.vkey").write_text("\n".join(reversed(lines)))
    assert found(copy, pair)[1:] == ("key-list-mismatch", "log.vkey, index 0")
    (copy / "log.vkey").write_text(lines[0])
    assert found(copy, pair)[:2] == ("signature", "note-unsigned")
    (copy / "log.vkey").write_text(f"x{lines[0]}")
    assert found(copy, pair)[1:] == ("key-invalid", "log.vkey, index 0, line")


def test_a_key_from_elsewhere_that_is_none_of_this_log(copy: Path, pair: tuple[Book, Book]) -> None:
    other = signer("oem.example/log", 99).verifier.vkey
    assert found(copy, pair, keys=(other,))[:2] == ("key-chain", "key-untrusted")


def test_a_tail_that_was_cut_off_with_all_keys(pair: tuple[Book, Book], tmp_path: Path) -> None:
    book, city = pair
    cut = Book(tmp_path / "cut")
    for each in (*book.signers[1:],):
        cut.signers.append(each)
    shutil.rmtree(cut.folder)
    shutil.copytree(book.folder, cut.folder, ignore=shutil.ignore_patterns("cosigned", "tile", "checkpoint"))
    entries = list(book.log.entries(0, SIZE - 1))
    cut.edge = cut.edge.empty()
    cut.put(entries)
    assert verified(cut.folder, pair).checkpoint.size == SIZE - 1, "alone it cannot be told"
    step, code, place = found(cut.folder, pair, seen=(city.folder / "seen",))
    assert (step, code) == ("seen", "log-cut")
    assert place.endswith(f"/{SIZE}, index {SIZE}, size")
    cut.close()


@pytest.mark.parametrize("keys", ["same", "other"])
def test_a_history_written_anew(keys: str, pair: tuple[Book, Book], tmp_path: Path) -> None:
    _, city = pair
    forged = Book(tmp_path / "anew", seed=1 if keys == "same" else 77)
    forged.numbers.seed(8)
    forged.write([Draft("consents", {"ledger": number}) for number in range(SIZE + 5)])
    forged.rotate()
    trust = (forged.signers[0].verifier.vkey,)
    assert verified(forged.folder, pair, keys=trust).checkpoint.size > SIZE, "alone it cannot be told"
    step, code, place = found(forged.folder, pair, keys=trust, seen=(city.folder / "seen",))
    assert (step, code) == ("seen", "history-rewritten")
    assert f"/{SIZE}" in place
    forged.close()


def anew(folder: Path, leaves: list[bytes]) -> Path:
    """A log of these lines, signed as it should be."""
    book = Book(folder)
    book.put(leaves)
    book.close()
    return folder


def said(**members: Any) -> bytes:
    identity = {"v": 1, "id": "urn:uuid:00000000-0000-4000-8000-000000000001", "time": "2030-03-17T17:46:41.000Z"}
    return canonical_bytes(identity | {"type": "message"} | members)


@pytest.mark.parametrize(
    ("leaves", "step", "code", "place"),
    [
        ([b"no json"], "lines", "leaf-not-json", "index 1"),
        ([b"[]"], "lines", "leaf-not-json", "index 1"),
        ([said(vin="WVW1")], "lines", "leaf-not-allowed", "index 1, vin"),
        ([said(type=["message"])], "lines", "leaf-not-allowed", "index 1, type"),
        ([said(state="\u00e9")], "lines", "leaf-not-allowed", "index 1, state"),
        ([said() + b" "], "lines", "leaf-not-canonical", "index 1"),
        ([said().replace(b'"v":1', b'"v":1,"v":1')], "lines", "leaf-not-canonical", "index 1"),
        ([said(), said(state="x")], "ids", "leaf-replayed", "index 2, id"),
        ([said(type="log")], "lines", "leaf-first", "index 1, type"),
        ([said(time="2029-01-01T00:00:00.000Z")], "order", "time-went-back", "index 1, time"),
    ],
)
def test_signed_lines_that_no_connector_writes(leaves: list[bytes], step: str, code: str, place: str, tmp_path: Path) -> None:
    folder = anew(tmp_path / "log", leaves)
    with pytest.raises(NotProven) as raised:
        verify_log(folder)
    failed = raised.value.failed
    assert (failed.name, failed.code, str(failed.place)) == (step, code, f"tile/entries, {place}")


def test_a_payload_that_is_gone_with_its_key_is_erased_and_else_damage(tmp_path: Path) -> None:
    book = Book(tmp_path / "log")
    book.write([Draft("message", payload={"n": 1}, party=CITY), Draft("agreement", payload={"n": 2}, subject="vehicle:1")])
    digests = [orjson.loads(raw)["payload"]["sha256"] for raw in book.log.entries(1, 3)]
    key_id = book.subjects.erase("vehicle:1", book.now_ms)
    assert key_id is not None
    write(book.folder, "DELETE FROM payload WHERE sha256 = ?", bytes.fromhex(digests[1]))

    def outcome() -> Step:
        keys = SubjectsKeys(book.keys)
        try:
            steps = verify_log(book.folder, None, Surroundings(keys=keys)).steps
        except NotProven as error:
            return error.failed
        return next(step for step in steps if step.name == "payloads")

    assert outcome().code == "payload-missing", "no line says that a key was erased"
    book.write([Draft("subject", {"change": "erased", "key": key_id, "kind": "vehicle"})])
    assert (outcome().result, outcome().notes) == (
        "passed",
        ("1 payloads are not there, and no key that is left would open them: erased",),
    )
    for keys in (SubjectsKeys([]), NoKeys()):
        with pytest.raises(NotProven) as raised:
            verify_log(book.folder, None, Surroundings(keys=keys))
        assert raised.value.failed.code == "payload-missing", "who has no keys cannot tell that one was erased"
    write(book.folder, "DELETE FROM payload WHERE sha256 = ?", bytes.fromhex(digests[0]))
    assert outcome().code == "payload-missing", "its key is still there"
    book.close()


def test_a_key_that_is_called_erased_and_is_not(tmp_path: Path) -> None:
    book = Book(tmp_path / "log")
    book.subjects.keys(["vehicle:1"], T0)
    kept = book.subjects.find("vehicle:1")
    assert kept is not None
    book.write([Draft("subject", {"change": "erased", "key": kept.key_id, "kind": "vehicle"})])
    with pytest.raises(NotProven) as raised:
        verify_log(book.folder)
    assert (raised.value.failed.code, str(raised.value.failed.place)) == ("subject-kept", "subjects.db, index 1, key")
    book.close()


def digests(folder: Path) -> dict[Path, bytes]:
    """Of all files but those that SQLite has beside a database while somebody reads it."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal")))
    return {path: sha256(path.read_bytes()).digest() for path in files}


def test_lines_that_wait_are_counted_and_nothing_is_written(pair: tuple[Book, Book], copy: Path, tmp_path: Path) -> None:
    database = tmp_path / "control.db"
    waiting = said()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE leaf (seq INTEGER PRIMARY KEY, leaf TEXT NOT NULL) STRICT")
        connection.execute("INSERT INTO leaf (leaf) VALUES (?)", (waiting.decode(),))
    before = digests(tmp_path)
    around = Surroundings(database=database)
    done = verify_log(copy, None, around)
    assert (done.queued, done.steps[-1].result) == (1, "passed")
    assert digests(tmp_path) == before
    source = copy / LAST
    source.with_name("54").write_bytes(encode_bundle([*decode_bundle(source.read_bytes()), waiting]))
    done = verify_log(copy, None, around)
    assert "wait for their checkpoint" in next(step.said for step in done.steps if step.name == "surplus")


def test_a_checkpoint_that_the_log_signed_for_another_tree(pair: tuple[Book, Book], copy: Path) -> None:
    book = pair[0]
    split = signed(Checkpoint(book.origin, 5, b"x" * 32), [book.signers[0]])
    other = lines_of(the_cosigned(copy).read_text())[1]
    (copy / "cosigned" / "5.x").write_text(with_lines(split, [other.replace("/witness", "/w")]))
    assert found(copy, pair) == ("cosignatures", "root-mismatch", "cosigned/5.x, index 5, root")


def test_what_was_seen_of_other_logs(pair: tuple[Book, Book], tmp_path: Path) -> None:
    book, city = pair
    seen = shutil.copytree(city.folder / "seen", tmp_path / "seen")
    foreign = signed(Checkpoint("other.example/log", 1, b"x" * 32), [signer("other.example/log", 9)])
    (seen / "7").write_text(foreign)
    assert results(verified(book.folder, pair, seen=(seen,)).steps)["seen"] == "passed", "a folder has those of others, too"
    assert found(book.folder, pair, seen=(seen / "7",))[1] == "seen-foreign"
    (tmp_path / "empty").mkdir()
    assert found(book.folder, pair, seen=(tmp_path / "empty",))[1] == "seen-foreign"
