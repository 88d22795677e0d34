"""The file of payloads."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from hashlib import sha256
from pathlib import Path

import pytest

from connector.log.payloads import Payloads
from connector.protocol.errors import Unavailable

MANY = [(sha256(body).hexdigest(), body) for body in (f"payload {number}".encode() for number in range(2500))]


def test_what_was_put_is_there_after_a_reopening(tmp_path: Path) -> None:
    with Payloads(tmp_path / "payloads.db") as payloads:
        payloads.put(MANY)
        payloads.put(MANY[:3])
        payloads.put([])
    with Payloads(tmp_path / "payloads.db") as payloads:
        assert payloads.get(MANY[7][0]) == MANY[7][1]
        assert payloads.get("00" * 32) is None
        assert list(payloads.digests()) == sorted(digest for digest, _ in MANY)


def test_the_file_is_the_owners_alone(tmp_path: Path) -> None:
    Payloads(tmp_path / "payloads.db").close()
    assert stat.S_IMODE((tmp_path / "payloads.db").stat().st_mode) == 0o600


def test_a_reader_sees_what_a_writer_has_put_and_writes_nothing(tmp_path: Path) -> None:
    with Payloads(tmp_path / "payloads.db") as writer, Payloads(tmp_path / "payloads.db", read_only=True) as reader:
        writer.put(MANY[:1])
        assert reader.get(MANY[0][0]) == MANY[0][1]
        with pytest.raises(Unavailable, match="payloads-unusable"):
            reader.put(MANY[1:2])


def test_a_reader_needs_no_writable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Payloads(tmp_path / "payloads.db") as writer:
        writer.put(MANY[:1])
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(tmp_path / "payloads.db", copy)
    copy.chmod(0o500)
    connect = sqlite3.connect
    asked: list[str] = []

    def refusing(address: str, **options: object) -> sqlite3.Connection:
        # Root may write everywhere: what others meet is made here.
        asked.append(address)
        if "immutable" not in address:
            return connect(":memory:")
        return connect(address, **options)  # type: ignore[call-overload,no-any-return]  # as it came

    monkeypatch.setattr("connector.log.payloads.sqlite3.connect", refusing)
    with Payloads(copy / "payloads.db", read_only=True) as reader:
        assert reader.get(MANY[0][0]) == MANY[0][1]
    assert len(asked) == 2
    assert [path.name for path in copy.iterdir()] == ["payloads.db"]


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="payloads-unusable"):
        Payloads(tmp_path / "missing" / "payloads.db")
    with pytest.raises(Unavailable, match="payloads-unusable"):
        Payloads(tmp_path / "payloads.db", read_only=True)
    (tmp_path / "other.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(Unavailable, match="payloads-unusable"):
        Payloads(tmp_path / "other.db")
