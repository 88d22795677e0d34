"""The files beside the tiles."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connector.log import layout
from connector.log.note import NoteSigner
from connector.log.tiles import LogDamaged


def test_all_who_start_at_once_have_one_salt(tmp_path: Path) -> None:
    layout.make_folder(tmp_path / "log")
    with ThreadPoolExecutor(8) as threads:
        salts = set(threads.map(lambda _: layout.ensure_salt(tmp_path / "log"), range(32)))
    assert len(salts) == 1
    assert salts == {layout.read_salt(tmp_path / "log")}
    assert [path.name for path in (tmp_path / "log").iterdir()] == ["salt"]
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "log" / "salt").stat().st_mode) == 0o600


def test_the_name_of_a_folder_does_not_show_its_salt(tmp_path: Path) -> None:
    salt = layout.ensure_salt(tmp_path)
    assert salt.hex() not in layout.folder_name(salt)
    assert layout.folder_name(salt) != layout.folder_name(bytes(32))


def test_a_lost_or_damaged_salt_is_said(tmp_path: Path) -> None:
    with pytest.raises(LogDamaged, match="salt-missing"):
        layout.read_salt(tmp_path)
    for wrong in (b"", b"ab" * 31, b"zz" * 32, b"a" * (layout.MAX_FILE_BYTES + 1)):
        (tmp_path / "salt").write_bytes(wrong)
        with pytest.raises(LogDamaged, match="salt"):
            layout.ensure_salt(tmp_path)


def test_keys_are_kept_in_their_order(tmp_path: Path) -> None:
    assert layout.read_vkeys(tmp_path) == []
    verifiers = [NoteSigner("example.org/log", Ed25519PrivateKey.generate()).verifier for _ in range(3)]
    layout.write_vkeys(tmp_path, verifiers)
    assert layout.read_vkeys(tmp_path) == verifiers
    (tmp_path / "log.vkey").write_text("no key at all\n")
    with pytest.raises(LogDamaged, match="key-damaged"):
        layout.read_vkeys(tmp_path)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout.write_handover(tmp_path, 7, "first")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        layout.write_handover(tmp_path, 7, "second")
    assert (tmp_path / "handover" / "7").read_text() == "first"
    assert [path.name for path in (tmp_path / "handover").iterdir()] == ["7"]
