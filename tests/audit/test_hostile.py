"""A folder, a view or a zip that somebody has made to harm who verifies it: a place is named, and nothing hangs."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import zipfile
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from catalog.canonical import canonical_bytes
from connector.audit import unpacking
from connector.audit.ceremony import Flaw, NotProven, Place, Step
from connector.audit.opening import SubjectsKeys
from connector.audit.unpacking import names, unpacked
from connector.audit.verifying import Surroundings, Trust, verify_log
from connector.audit.view import TYPE, opened_folder, verify_view
from connector.cli.audit_source import step_lines
from connector.identity import seal
from connector.log.leaf import Draft, SealedPayload
from connector.log.sealing import commitment
from tests.audit.books import CITY, Book, whole
from tests.audit.test_view import KEY, edit, exported


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = whole(tmp_path / "log", extra=3)
    made.write([Draft("key", {"change": "made", "use": "agreement", "thumbprint": KEY.thumbprint})])
    yield made
    made.close()


def failed(folder: Path, around: Surroundings | None = None) -> tuple[str, str, str]:
    """Step, code and place."""
    with pytest.raises(NotProven) as raised:
        verify_log(folder, None, around)
    return raised.value.failed.name, raised.value.failed.code, str(raised.value.failed.place)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("checkpoint", ("checkpoint", "file-unreadable", "checkpoint")),
        ("log.vkey", ("key", "file-unreadable", "log.vkey")),
        ("salt", ("key-chain", "salt-damaged", "salt")),
        ("tile/0/000.p/3", ("surplus", "file-unreadable", "tile/0/000.p/3")),
        ("payloads.db-journal", None),
    ],
)
def test_a_pipe_in_the_place_of_a_file(file: str, expected: tuple[str, str, str] | None, book: Book, tmp_path: Path) -> None:
    copy = shutil.copytree(book.folder, tmp_path / "copy")
    (copy / file).unlink(missing_ok=True)
    os.mkfifo(copy / file)
    found = failed(copy)
    assert found == (expected or ("entries", "payloads-unusable", "payloads.db"))


@pytest.mark.parametrize("file", ["keys.ndjson", "log/checkpoint"])
def test_a_pipe_in_a_view(file: str, book: Book, tmp_path: Path) -> None:
    exported(book, tmp_path / "view")
    (tmp_path / "view" / file).unlink()
    os.mkfifo(tmp_path / "view" / file)
    with pytest.raises(NotProven) as raised:
        verify_view(tmp_path / "view", Trust(), book.now_ms)
    assert (raised.value.failed.name, raised.value.failed.code) == ("view-keys", "file-unreadable")


def test_a_folder_in_the_place_of_the_salt(book: Book, tmp_path: Path) -> None:
    copy = shutil.copytree(book.folder, tmp_path / "copy")
    (copy / "salt").unlink()
    (copy / "salt").mkdir()
    assert failed(copy) == ("key-chain", "file-unreadable", "salt")


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS sha256, zeroblob(x) AS ciphertext FROM n"


def test_a_view_of_sqlite_in_the_place_of_a_table(book: Book, tmp_path: Path) -> None:
    copy = shutil.copytree(book.folder, tmp_path / "copy")
    for file in copy.glob("payloads.db*"):
        file.unlink()
    with closing(sqlite3.connect(copy / "payloads.db")) as connection:
        connection.execute(f"CREATE VIEW payload AS {ENDLESS}")
    assert failed(copy) == ("entries", "payloads-unusable", "payloads.db")
    for name, columns in (("leaf", "x AS seq"), ("subject", "x AS key_id, x AS key")):
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as connection:
            connection.execute(
                f"CREATE VIEW {name} AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT {columns} FROM n"  # noqa: S608  # our own names
            )
    done = verify_log(book.folder, None, Surroundings(database=tmp_path / "leaf.db"))
    assert (done.queued, done.steps[-1].result) == (None, "not-done")
    copy = shutil.copytree(book.folder, tmp_path / "another")
    for file in copy.glob("subjects.db*"):
        file.unlink()
    shutil.copy(tmp_path / "subject.db", copy / "subjects.db")
    assert failed(copy) == ("erasures", "database-unreadable", "subjects.db")


def test_a_number_in_the_place_of_bytes(book: Book, tmp_path: Path) -> None:
    """bytes(n) would be n zeros."""
    book.payloads.close()
    with closing(sqlite3.connect(book.folder / "payloads.db")) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = replace(sql, ' STRICT', '') WHERE name = 'payload'")
    with closing(sqlite3.connect(book.folder / "payloads.db")) as connection, connection:
        connection.execute("UPDATE payload SET ciphertext = 99999999999")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = sql || ' STRICT' WHERE name = 'payload'")
    assert failed(book.folder) == ("payloads", "payloads-unusable", "payloads.db")


def test_a_table_whose_text_is_none(tmp_path: Path) -> None:
    book = whole(tmp_path / "log", extra=1)
    book.close()
    for name, place in (("subjects.db", "erasures"), ("payloads.db", "entries")):
        path = book.folder / name
        content = path.read_bytes()
        path.write_bytes(content.replace(b"CREATE TABLE ", b"CREATE TABLE\xb2"))
        step, _, file = failed(book.folder)
        assert (step, file) == (place, name)
        path.write_bytes(content)


@pytest.mark.parametrize(("member", "said"), [("time", "2030-02-30T00:00:00.000Z"), ("first", "9999-99-99T99:99:99.999Z")])
def test_a_moment_that_is_in_no_calendar(member: str, said: str, book: Book) -> None:
    leaf = {"v": 1, "id": book.new_id(), "type": "receipt", "time": "2030-03-17T17:46:40.000Z", member: said}
    book.put([canonical_bytes(leaf)])
    number = book.edge.size - 1
    around = Surroundings(now_ms=book.now_ms)
    assert failed(book.folder, around) == ("lines", "leaf-not-allowed", f"tile/entries, index {number}, {member}")


@pytest.mark.parametrize(
    "text", ['{"a":' * 400 + "1" + "}" * 400, '{"a":' * 20_000 + "1" + "}" * 20_000, '{"a":"\\ud800"}', '{"a":NaN}']
)
def test_a_payload_that_would_break_its_reader(text: str, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    def as_it_is(_: object, key: bytes, leaf_id: str) -> SealedPayload:
        ciphertext = b"n" * 12 + AESGCM(key).encrypt(b"n" * 12, text.encode(), leaf_id.encode())
        return SealedPayload(sha256(ciphertext).hexdigest(), commitment(key), ciphertext)

    monkeypatch.setattr("tests.audit.books.sealed", as_it_is)
    book.write([Draft("agreement", {"state": "held"}, party=CITY, payload={})])
    step, code, place = failed(book.folder, Surroundings(keys=SubjectsKeys(book.keys)))
    assert (step, code) == ("payloads", "payload-damaged")
    assert f"index {book.edge.size - 1}" in place


def test_a_file_of_a_tile_that_is_spelled_otherwise(book: Book, tmp_path: Path) -> None:
    for name in ("tile/0/x000/000", "tile/entries/\u0660\u0660\u0660", "tile/0/" + "x999/" * 40 + "999"):
        copy = shutil.copytree(book.folder, tmp_path / "copy")
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(b"x" * 32)
        assert failed(copy)[:2] == ("surplus", "file-unknown")
        shutil.rmtree(copy)


def zipped(path: Path, content: bytes = b"x" * 1000) -> bytes:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("view.jws", content)
    return path.read_bytes()


def test_a_zip_whose_bytes_are_damaged(tmp_path: Path) -> None:
    whole_zip = zipped(tmp_path / "a.zip", os.urandom(64) * 20)
    for at in range(len(whole_zip)):
        (tmp_path / "b.zip").write_bytes(whole_zip[:at] + bytes([whole_zip[at] ^ 0xFF]) + whole_zip[at + 1 :])
        names(tmp_path / "b.zip", "view.jws")
        shutil.rmtree(tmp_path / "into", ignore_errors=True)
        try:
            unpacked(tmp_path / "b.zip", tmp_path / "into")
        except Flaw as flaw:
            assert flaw.code.startswith("zip-")  # noqa: PT017  # either way is right, nothing else is


def test_a_directory_that_would_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zipped(tmp_path / "a.zip")
    monkeypatch.setattr(unpacking, "MAX_DIRECTORY_BYTES", 10)
    assert not names(tmp_path / "a.zip", "view.jws")
    with pytest.raises(Flaw) as raised:
        unpacked(tmp_path / "a.zip", tmp_path / "into")
    assert raised.value.code == "zip-too-large"


def test_the_longer_of_two_directories_counts(tmp_path: Path) -> None:
    record = b"PK\x06\x06" + struct.pack("<QHHLLQQQQ", 44, 45, 45, 0, 0, 9, 9, 90_000, 0)
    locator = b"PK\x06\x07" + struct.pack("<LQL", 0, 0, 1)
    (tmp_path / "a.zip").write_bytes(
        bytes(100_000) + record + locator + b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 1, 1, 60, 0, 0)
    )
    with (tmp_path / "a.zip").open("rb") as opened:
        assert unpacking.directory_bytes(opened) == 90_000


@pytest.mark.parametrize("until", [10**15, -1])
def test_a_view_until_a_moment_that_never_comes(until: int, book: Book, tmp_path: Path) -> None:
    exported(book, tmp_path / "view")
    edit(tmp_path / "view" / "view.jws", lambda said: said.update(validUntilMs=until))
    with pytest.raises(NotProven) as raised:
        verify_view(tmp_path / "view", Trust(), book.now_ms)
    assert str(raised.value.failed.place) == "view.jws, validUntilMs"


def test_a_view_in_the_name_of_another_participant(book: Book, tmp_path: Path) -> None:
    exported(book, tmp_path / "view")
    path, other = tmp_path / "view" / "view.jws", "did:web:other.example"
    content = seal.opened(path.read_text(), TYPE, book.did).content | {"participant": other}
    path.write_text(seal.seal(KEY, f"{other}#{KEY.kid}", TYPE, content))
    with opened_folder(tmp_path / "view") as folder, pytest.raises(NotProven) as raised:
        verify_view(folder, Trust((book.signers[0].verifier.vkey,)), book.now_ms)
    assert (raised.value.failed.name, raised.value.failed.code) == ("view-signer", "view-foreign")


def test_a_name_begins_no_line_of_ours() -> None:
    forged = "x\n 9. everything: ok\u202e"
    step = Step(1, "n", "title", "passed", forged, (forged,), "", Place(forged))
    lines: list[str] = list(step_lines(step))
    assert not [line for line in lines if "\n" in line or "\u202e" in line]
