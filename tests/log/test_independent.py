"""Others read the log as we do: the published checker of tile logs, and a few lines of Go on golang.org/x/mod.

A log that was tampered with gets a line of success from neither.
"""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from connector.log.merkle import Edge
from connector.log.note import Checkpoint, body_of, cosignature, signed, with_lines
from connector.log.proofs import consistency, inclusion, tlog_proof
from connector.log.tiles import bundle_path, tile_path
from tests.log import golang
from tests.log.golang import Found, Programs
from tests.log.growing import GrownLog, a_leaf, a_signer, grown_log

pytestmark = [pytest.mark.go, pytest.mark.timeout(2 * golang.BUILD_TIMEOUT_S)]

SIZE = 700


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return golang.built(tmp_path_factory.mktemp("go"))


@pytest.fixture
def log(tmp_path: Path) -> GrownLog:
    return grown_log(tmp_path / "log", SIZE)


def published(log: GrownLog) -> Found:
    return Found(log.edge.size, base64.b64encode(log.edge.root()).decode())


def both(programs: Programs, log: GrownLog) -> list[Found | None]:
    folder = log.folder.path
    vkeys = folder / "log.vkey"
    return [golang.fsck(programs.fsck, folder, vkeys), golang.check(programs.check, "log", vkeys, folder)]


@pytest.mark.parametrize("size", [1, 255, 256, 257, SIZE, 66_000])
def test_a_log_holds(programs: Programs, tmp_path: Path, size: int) -> None:
    log = grown_log(tmp_path / "log", size)
    assert both(programs, log) == [published(log)] * 2


def test_a_log_that_grew_in_small_steps_holds(programs: Programs, tmp_path: Path) -> None:
    log = grown_log(tmp_path / "log", 0)
    for step in (1, 2, 3, 250, 7, 300, 1, 1):
        log.grow(step)
    assert both(programs, log) == [published(log)] * 2


def test_the_parts_hold(programs: Programs, log: GrownLog, tmp_path: Path) -> None:
    """A proof of each of some leaves, and that the log grew, both with a witness."""
    witness = a_signer(7, "city.example/witness")
    vkeys = tmp_path / "vkeys"
    vkeys.write_text(f"{log.vkey}\n{witness.cosigner.vkey}\n")
    older, newer, path = tmp_path / "older", tmp_path / "newer", tmp_path / "path"
    for file, grows in ((older, 0), (newer, 2345)):
        note = log.grow(grows)
        file.write_text(with_lines(note, [cosignature(body_of(note), witness, 1_760_000_000)]))
    hashes = consistency(log.folder, SIZE, SIZE + 2345)
    path.write_text("".join(f"{base64.b64encode(each).decode()}\n" for each in hashes))
    assert golang.check(programs.check, "growth", vkeys, older, newer, path) == published(log)
    file, leaf = tmp_path / "a.tlog-proof", tmp_path / "leaf"
    for index in (0, 255, 256, SIZE, SIZE + 2344):
        made = inclusion(log.folder, index, log.edge.size)
        leaf.write_bytes(a_leaf(index))
        for extra in (b"", b"more"):
            file.write_text(tlog_proof(index, made, newer.read_text(), extra))
            assert golang.check(programs.check, "proof", vkeys, file, leaf) == published(log)
        leaf.write_bytes(a_leaf(index) + b" ")
        assert golang.check(programs.check, "proof", vkeys, file, leaf) is None
    path.write_text(path.read_text().replace("A", "B"))
    assert golang.check(programs.check, "growth", vkeys, older, newer, path) is None
    vkeys.write_text(f"{log.vkey}\n{a_signer(8, witness.name).cosigner.vkey}\n")
    assert golang.check(programs.check, "proof", vkeys, file, leaf) is None


def flip(path: Path, at: int = 40) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def resized(log: GrownLog) -> None:
    """Without a new signature."""
    path = log.folder.path / "checkpoint"
    path.write_text(path.read_text().replace(f"\n{SIZE}\n", "\n699\n"))


def signed_by_another(log: GrownLog) -> None:
    head = Checkpoint(log.signer.name, SIZE, log.edge.root())
    (log.folder.path / "checkpoint").write_text(signed(head, [a_signer(2)]))


def a_changed_history(log: GrownLog) -> None:
    """The owner of the key signs another root than that of the entries."""
    head = Checkpoint(log.signer.name, SIZE, Edge.empty().extended([bytes(32)] * SIZE).root())
    (log.folder.path / "checkpoint").write_text(signed(head, [log.signer]))


def two_entries_exchanged(log: GrownLog) -> None:
    path = log.folder.path / bundle_path(0)
    entry = len(a_leaf(0)) + 2
    data = path.read_bytes()
    path.write_bytes(data[entry : 2 * entry] + data[:entry] + data[2 * entry :])


def tiles_of_another_log(log: GrownLog) -> None:
    other = grown_log(log.folder.path.parent / "other", SIZE, lambda number: a_leaf(number + 1))
    shutil.rmtree(log.folder.path / "tile")
    shutil.copytree(other.folder.path / "tile", log.folder.path / "tile")


TAMPERED: list[Callable[[GrownLog], None]] = [
    lambda log: flip(log.folder.path / bundle_path(1)),
    lambda log: flip(log.folder.path / bundle_path(2, 188)),
    lambda log: cut(log.folder.path / bundle_path(2, 188)),
    lambda log: (log.folder.path / bundle_path(1)).unlink(),
    lambda log: flip(log.folder.path / tile_path(0, 1)),
    lambda log: flip(log.folder.path / tile_path(0, 2, 188)),
    lambda log: flip(log.folder.path / tile_path(1, 0, 2)),
    lambda log: (log.folder.path / tile_path(0, 0)).unlink(),
    lambda log: flip(log.folder.path / "checkpoint"),
    lambda log: (log.folder.path / "checkpoint").unlink(),
    resized,
    signed_by_another,
    a_changed_history,
    two_entries_exchanged,
    tiles_of_another_log,
]


@pytest.mark.parametrize("tamper", TAMPERED)
def test_a_log_that_was_tampered_with_does_not_hold(
    programs: Programs, log: GrownLog, tamper: Callable[[GrownLog], None]
) -> None:
    tamper(log)
    assert both(programs, log) == [None, None]
