"""Where a command is to write, listen or be read, and what it says when that will not do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from connector.cli import demo
from connector.cli.main import cli


class Disk(NamedTuple):
    """What ``shutil.disk_usage`` gives."""

    total: int
    used: int
    free: int


def test_the_demo_does_not_begin_on_a_disk_that_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(1 << 30, 0, demo.ROOM_BYTES - 1))
    ended = CliRunner().invoke(cli, ["demo", "--folder", str(tmp_path / "new")])
    assert ended.exit_code == 1
    assert "127 MiB left; the demo takes 128 [disk-full]\nDo this: name another place with --folder\n" in ended.stderr
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_there_is_not_taken(tmp_path: Path) -> None:
    ended = CliRunner().invoke(cli, ["demo", "--folder", str(tmp_path)])
    assert ended.exit_code == 1
    assert "[file-failed]\nDo this: name a folder that does not exist yet" in ended.stderr


@pytest.mark.parametrize("beside", ["15001", "15003", "15005"])
def test_connectors_beside_each_other_have_three_ports_each(beside: str, tmp_path: Path) -> None:
    ended = CliRunner().invoke(cli, ["init", str(tmp_path / "a"), "--loopback", "15003", "--beside", beside])
    assert ended.exit_code == 2
    assert "beside 15003 there can be 15006 [usage]" in ended.stderr
    assert not (tmp_path / "a").exists()


def test_a_terminal_without_the_letters_gets_their_numbers(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "connector.cli", "init", str(tmp_path / "näh→"), "--loopback", "15003"]
    environ = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    ended = subprocess.run(words, env=environ, capture_output=True, timeout=60, check=False)
    assert ended.returncode == 0
    assert b"n\xe4h\\u2192.\n" in ended.stdout
