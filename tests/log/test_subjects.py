"""Keys of subjects: made once, found again, erased without a trace."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from connector.log.subjects import SubjectKeys, key_id
from connector.protocol.errors import Unavailable

SECRET = bytes(range(32))
AT = 1_790_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "subjects.db"


@pytest.fixture
def subjects(path: Path) -> Iterator[SubjectKeys]:
    with SubjectKeys(path, lambda: SECRET) as opened:
        yield opened


def everything(path: Path) -> bytes:
    """All bytes of the file and of those that SQLite keeps beside it."""
    return b"".join(each.read_bytes() for each in sorted(path.parent.glob(f"{path.name}*")))


def wrapped_keys(path: Path) -> list[bytes]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT key FROM subject WHERE key IS NOT NULL")]


def test_a_key_is_made_once_and_found_again(path: Path, subjects: SubjectKeys) -> None:
    first, second = subjects.keys(["party:a", "party:b"], AT)
    assert first != second
    assert subjects.keys(["party:b", "party:a", "party:b"], AT + 1) == [second, first, second]
    with SubjectKeys(path, lambda: SECRET) as again:
        assert again.keys(["party:a"], AT + 2) == [first]
        found = again.find("party:a")
    assert found is not None
    assert (found.key, found.key_id, found.made_at, found.erased_at) == (first, key_id(first), AT, None)
    assert subjects.find("party:c") is None


def test_many_names_at_once(subjects: SubjectKeys) -> None:
    names = [f"vehicle:{number}" for number in range(1234)]
    made = subjects.keys(names, AT)
    assert len(set(made)) == 1234
    assert subjects.keys(names, AT) == made


def test_every_subject_can_be_gone_through_without_names(subjects: SubjectKeys) -> None:
    made = subjects.keys([f"vehicle:{number}" for number in range(700)], AT)
    named = subjects.erase("vehicle:3", AT)
    found = list(subjects.every())
    assert {each.key for each in found} == {*made[:3], None, *made[4:]}
    assert [each.key_id for each in found if each.key is None] == [named]


def test_neither_names_nor_keys_stand_in_the_file(path: Path, subjects: SubjectKeys) -> None:
    (key,) = subjects.keys(["party:did:web:somebody.example"], AT)
    content = everything(path)
    assert b"somebody" not in content
    assert key not in content
    assert SECRET not in content
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_erased_key_leaves_no_byte(path: Path, subjects: SubjectKeys) -> None:
    names = [f"vehicle:{number}" for number in range(3000)]
    for start in range(0, len(names), 11):
        subjects.keys(names[start : start + 11], AT)
    kept_wrapped = {}
    for number in range(0, 3000, 300):
        before = set(wrapped_keys(path))
        (key,) = subjects.keys([names[number]], AT)
        assert subjects.erase(names[number], AT + number) == key_id(key)
        (gone,) = before - set(wrapped_keys(path))
        kept_wrapped[number] = gone
        content = everything(path)
        assert gone not in content
        assert gone[12:] not in content
        assert key not in content
    assert len(kept_wrapped) == 10
    assert sorted(each.name for each in path.parent.iterdir()) == ["subjects.db", "subjects.db-shm", "subjects.db-wal"]


def test_an_erased_subject_gets_no_key_again(subjects: SubjectKeys) -> None:
    (key,) = subjects.keys(["party:a"], AT)
    named = subjects.erase("party:a", AT + 5)
    assert subjects.erase("party:a", AT + 9) == named == key_id(key)
    first, second = subjects.keys(["party:a"], AT)[0], subjects.keys(["party:a"], AT)[0]
    assert len({key, first, second}) == 3
    found = subjects.find("party:a")
    assert found is not None
    assert (found.key, found.key_id, found.erased_at) == (None, named, AT + 5)
    assert subjects.erase("party:never", AT) is None


def test_an_erasure_that_a_reader_holds_up_says_so_and_can_be_repeated(
    path: Path, subjects: SubjectKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    subjects.keys(["party:a"], AT)
    (wrapped,) = wrapped_keys(path)
    subjects._connection.execute("PRAGMA busy_timeout = 10")
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM subject").fetchall()
        with pytest.raises(Unavailable, match="subject-busy"):
            subjects.erase("party:a", AT)
        assert wrapped in everything(path)
    subjects.erase("party:a", AT)
    assert wrapped not in everything(path)


def test_what_the_database_leaves_behind_is_seen_and_cleared(
    path: Path, subjects: SubjectKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As an SQLite that does not overwrite what is deleted.
    subjects._connection.execute("PRAGMA secure_delete = OFF")
    subjects.keys(["party:a", "party:b"], AT)
    before = set(wrapped_keys(path))
    subjects.erase("party:a", AT)
    (gone,) = before - set(wrapped_keys(path))
    assert gone not in everything(path)


def test_the_file_outlives_a_rotation_of_the_secret(path: Path, subjects: SubjectKeys) -> None:
    made = subjects.keys(["party:a"], AT)
    newer, newest = bytes([1] * 32), bytes([2] * 32)
    derived = subjects.derived(b"pseudonyms")
    assert derived not in (subjects.derived(b"other"), SECRET)
    with SubjectKeys(path, lambda: newer, lambda: [SECRET]) as rotated:
        assert rotated.keys(["party:a"], AT) == made
        assert rotated.derived(b"pseudonyms") == derived
    with SubjectKeys(path, lambda: newest, lambda: [newer]) as rotated:
        assert rotated.keys(["party:a"], AT) == made
    with pytest.raises(Unavailable, match="subjects-secret"):
        SubjectKeys(path, lambda: SECRET)


def test_two_processes_agree_on_a_key(path: Path, subjects: SubjectKeys) -> None:
    with SubjectKeys(path, lambda: SECRET) as other:
        assert other.keys(["party:a"], AT) == subjects.keys(["party:a"], AT)
        subjects.erase("party:a", AT)
        found = other.find("party:a")
    assert found is not None
    assert found.key is None


def test_a_changed_byte_is_seen(path: Path, subjects: SubjectKeys) -> None:
    subjects.keys(["party:a"], AT)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE subject SET key = zeroblob(60)")
    with pytest.raises(Unavailable, match="subjects-damaged"):
        subjects.keys(["party:a"], AT)


def test_what_cannot_be_used_is_said(tmp_path: Path, path: Path, subjects: SubjectKeys) -> None:
    with pytest.raises(Unavailable, match="subjects-unusable"):
        SubjectKeys(tmp_path / "missing" / "subjects.db", lambda: SECRET)
    (tmp_path / "other.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(Unavailable, match="subjects-unusable"):
        SubjectKeys(tmp_path / "other.db", lambda: SECRET)


def test_a_copy_of_the_file_opens_with_the_same_secret(tmp_path: Path, path: Path) -> None:
    with SubjectKeys(path, lambda: SECRET) as first:
        made = first.keys(["party:a"], AT)
    shutil.copy(path, tmp_path / "copy.db")
    with SubjectKeys(tmp_path / "copy.db", lambda: SECRET) as copy:
        assert copy.keys(["party:a"], AT) == made
