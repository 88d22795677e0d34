"""The log on disk: what is written when, what a power cut leaves, and what damage looks like."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.log import folder as module
from connector.log.folder import LogDamaged, LogFolder
from connector.log.merkle import Edge, check_consistency, check_inclusion, leaf_hash
from connector.log.note import MAX_NOTE_BYTES, Checkpoint, NoteRefused, signed
from connector.log.proofs import consistency, inclusion
from connector.log.tiles import Tile, bundle_path, grown, tile_path
from connector.protocol.errors import InvariantBroken
from tests.log.growing import GrownLog, a_leaf, a_signer, grown_log


def short(number: int) -> bytes:
    return b"%d" % number


def other(number: int) -> bytes:
    return b"other %d" % number


def files(path: Path) -> set[str]:
    return {str(each.relative_to(path)) for each in path.rglob("*") if each.is_file() and each.name != "log.vkey"}


def names(tiles: list[Tile]) -> set[str]:
    return {tile_path(*tile) for tile in tiles} | {bundle_path(tile.number, tile.width) for tile in tiles if tile.level == 0}


@pytest.fixture
def log(tmp_path: Path) -> GrownLog:
    return grown_log(tmp_path / "log", 700, short)


def test_an_empty_folder_is_an_empty_log(tmp_path: Path) -> None:
    folder = LogFolder(tmp_path / "log")
    assert folder.checkpoint() is None
    assert folder.size() == 0
    assert folder.edge(0) == Edge.empty()
    assert list(folder.entries(0, 0)) == []
    assert folder.append(Edge.empty(), []) == Edge.empty()
    assert not folder.path.exists()


def test_the_files_of_a_log(log: GrownLog) -> None:
    assert files(log.folder.path) == names(grown(0, 700)) | {"checkpoint"}
    assert stat.S_IMODE(log.folder.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE((log.folder.path / name).stat().st_mode) for name in files(log.folder.path)} == {0o600}
    assert list(log.folder.entries(0, 700)) == [short(number) for number in range(700)]
    assert list(log.folder.entries(255, 513)) == [short(number) for number in range(255, 513)]
    assert log.folder.edge(700) == log.edge == Edge.empty().extended(leaf_hash(short(number)) for number in range(700))
    assert log.folder.size() == 700


def test_a_small_growth_writes_what_changed(log: GrownLog, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    write = LogFolder._write

    def listed(self: LogFolder, name: str, data: bytes, folders: set[Path]) -> None:
        written.append(name)
        write(self, name, data, folders)

    monkeypatch.setattr(LogFolder, "_write", listed)
    log.grow(3, short)
    assert written == [bundle_path(2, 191), tile_path(0, 2, 191), "checkpoint"]
    written.clear()
    log.grow(400, short)
    assert set(written) == names(grown(703, 1103)) | {"checkpoint"}
    assert len(written) == len(set(written))
    assert written[-1] == "checkpoint"


def test_everything_is_on_disk_before_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file before it gets its name, each folder with a new name in it, and the checkpoint's after them all."""
    folder = LogFolder(tmp_path / "log")
    synced: list[str] = []
    sync = os.fsync

    def noted(number: int) -> None:
        name = os.path.relpath(os.readlink(f"/proc/self/fd/{number}"), tmp_path)
        synced.append(name)
        sync(number)

    monkeypatch.setattr(os, "fsync", noted)
    edge = folder.append(Edge.empty(), [b"one"])
    assert synced.count("log/.new") == 2
    first_folder = min(at for at, name in enumerate(synced) if name != "log/.new")
    assert first_folder == 2
    assert {"log/tile/0/000.p", "log/tile/0", "log/tile/entries/000.p", "log/tile/entries", "log/tile", "log", "."} <= {*synced}
    synced.clear()
    signer = a_signer()
    folder.publish(signed(Checkpoint(signer.name, 1, edge.root()), [signer]))
    assert synced == ["log/.new", "log"]
    synced.clear()
    folder.append(edge, [b"two"])
    assert {*synced} == {"log/.new", "log/tile/0/000.p", "log/tile/entries/000.p"}


def test_partial_tiles_go_once_the_full_ones_are_published(log: GrownLog) -> None:
    log.grow(1, short)
    partial = {tile_path(0, 2, 188), tile_path(0, 2, 189), bundle_path(2, 188), bundle_path(2, 189)}
    assert partial <= files(log.folder.path)
    log.edge = log.folder.append(log.edge, [short(number) for number in range(701, 1000)])
    assert partial <= files(log.folder.path)
    log.publish()
    assert not partial & files(log.folder.path)
    assert not (log.folder.path / tile_path(0, 2)).with_name("002.p").exists()
    # Of what is not full yet nothing is lost: a reader may still hold the older checkpoint.
    assert tile_path(1, 0, 2) in files(log.folder.path)
    assert tile_path(1, 0, 3) in files(log.folder.path)


def test_a_reader_with_an_older_checkpoint_finds_its_proofs(log: GrownLog) -> None:
    root = log.edge.root()
    path = inclusion(log.folder, 650, 700)
    log.grow(2000, short)
    assert inclusion(log.folder, 650, 700) == path
    check_inclusion(leaf_hash(short(650)), 650, 700, path, root)
    check_consistency(700, root, 2700, log.edge.root(), consistency(log.folder, 700, 2700))
    assert log.folder.edge(700).root() == root
    assert list(log.folder.entries(690, 700)) == [short(number) for number in range(690, 700)]


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 400), st.sampled_from(["published", "lost"])), min_size=1, max_size=7))
def test_an_append_without_a_checkpoint_is_written_over(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]]
) -> None:
    """A crash between tiles and checkpoint; then other leaves may come first, as none of the lost ones was ever signed."""
    log = grown_log(tmp_path_factory.mktemp("crash") / "log", 1, short)
    for count, end in steps:
        if end == "lost":
            LogFolder(log.folder.path).append(log.edge, [other(number) for number in range(count)])
            assert LogFolder(log.folder.path).edge(log.edge.size) == log.edge
            continue
        log.folder = LogFolder(log.folder.path)
        log.grow(count, short, batch=97)
    size = log.edge.size
    expected = [short(number) for number in range(size)]
    assert list(log.folder.entries(0, size)) == expected
    for at in {1, size // 2, size - 1, size} - {0}:
        assert log.folder.edge(at) == Edge.empty().extended(map(leaf_hash, expected[:at]))


def test_a_kill_at_any_write_leaves_a_whole_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    whole = False
    for kill in range(60):
        log = grown_log(tmp_path / str(kill), 250, short)
        left = [kill]

        def until(number: int, left: list[int] = left) -> None:
            del number
            left[0] -= 1
            if left[0] < 0:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", until)
            try:
                log.grow(300, short)
                whole = True
            except Killed:
                pass
        again = LogFolder(log.folder.path)
        size = again.size()
        assert size in (250, 550)
        edge = again.edge(size)
        assert edge == Edge.empty().extended(leaf_hash(short(number)) for number in range(size))
        assert list(again.entries(0, size)) == [short(number) for number in range(size)]
        GrownLog(again, log.signer, edge).grow(10, other)
        assert list(again.entries(size, size + 10)) == [other(number) for number in range(size, size + 10)]
        if whole:
            return
    pytest.fail("the last write was never reached")


def test_a_log_does_not_fork(log: GrownLog) -> None:
    def note(size: int, root: bytes, name: str = log.signer.name) -> str:
        return signed(Checkpoint(name, size, root), [a_signer(1, name)])

    before = log.folder.checkpoint()
    for wrong in (
        note(699, log.folder.edge(699).root()),
        note(700, bytes(32)),
        note(0, Edge.empty().root()),
        note(700, log.edge.root(), "other.example/log"),
    ):
        with pytest.raises(InvariantBroken, match="log-fork"):
            log.folder.publish(wrong)
    after = log.folder.append(log.edge, [b"more"])
    with pytest.raises(InvariantBroken, match="log-checkpoint"):
        log.folder.publish(note(701, log.edge.root()))
    with pytest.raises(LogDamaged, match="tile-missing"):
        log.folder.publish(note(702, after.root()))
    with pytest.raises(NoteRefused):
        log.folder.publish("no note")
    assert log.folder.checkpoint() == before
    with pytest.raises(InvariantBroken, match="log-fork"):
        log.folder.append(log.folder.edge(699), [b"other"])
    with pytest.raises(LogDamaged, match="edge-wrong"):
        log.folder.append(Edge(700, tuple(bytes(32) for _ in log.edge.hashes)), [b"other"])


def test_the_same_checkpoint_may_be_published_again(log: GrownLog) -> None:
    second = a_signer(5, log.signer.name)
    note = signed(Checkpoint(log.signer.name, 700, log.edge.root()), [log.signer, second])
    log.folder.publish(note)
    assert log.folder.checkpoint() == note


def test_an_empty_log_may_be_published(tmp_path: Path) -> None:
    log = grown_log(tmp_path / "log", 0)
    assert log.folder.size() == 0
    assert log.folder.checkpoint() is not None
    log.grow(3)
    assert list(log.folder.entries(1, 3)) == [a_leaf(1), a_leaf(2)]


def shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthened(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def much_longer(path: Path) -> None:
    os.truncate(path, 1 << 30)


def replaced_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replaced_by_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replaced_by_a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def parent_is_a_file(path: Path) -> None:
    path.unlink()
    path.parent.rmdir()
    path.parent.touch()


def emptied(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = [shortened, lengthened, much_longer, replaced_by_a_folder, replaced_by_a_pipe, replaced_by_a_loop, emptied, Path.unlink]


@pytest.mark.parametrize("damage", [*DAMAGES, parent_is_a_file])
def test_damage_of_a_hash_tile(log: GrownLog, damage: Callable[[Path], None]) -> None:
    damage(log.folder.path / tile_path(0, 2, 188))
    with pytest.raises(LogDamaged) as caught:
        log.folder.edge(700)
    assert caught.value.place.startswith("tile/0/002.p/")
    with pytest.raises(LogDamaged):
        log.folder.append(log.edge, [b"more"])


@pytest.mark.parametrize("damage", [*DAMAGES, parent_is_a_file])
def test_damage_of_an_entry_bundle(log: GrownLog, damage: Callable[[Path], None]) -> None:
    damage(log.folder.path / bundle_path(2, 188))
    with pytest.raises(LogDamaged) as caught:
        list(log.folder.entries(600, 700))
    assert caught.value.place.startswith("tile/entries/002.p/")
    # What is whole can still be read.
    assert len(list(log.folder.entries(0, 512))) == 512


@pytest.mark.parametrize(
    "damage", [shortened, much_longer, replaced_by_a_folder, replaced_by_a_pipe, replaced_by_a_loop, emptied]
)
def test_damage_of_the_checkpoint(log: GrownLog, damage: Callable[[Path], None]) -> None:
    damage(log.folder.path / "checkpoint")
    with pytest.raises(LogDamaged) as caught:
        log.folder.size()
    assert caught.value.place == "checkpoint"
    with pytest.raises(LogDamaged):
        log.publish()


def test_a_checkpoint_is_text(log: GrownLog) -> None:
    (log.folder.path / "checkpoint").write_bytes(b"\xff" * MAX_NOTE_BYTES)
    with pytest.raises(LogDamaged, match="UTF-8"):
        log.folder.checkpoint()


def test_a_bundle_with_too_few_entries(log: GrownLog) -> None:
    path = log.folder.path / bundle_path(1)
    path.write_bytes(path.read_bytes()[: -2 - len(short(511))])
    with pytest.raises(LogDamaged) as caught:
        list(log.folder.entries(0, 700))
    assert (caught.value.code, caught.value.place) == ("bundle-length", "tile/entries/001")


def test_a_changed_tile_is_another_edge(log: GrownLog) -> None:
    path = log.folder.path / tile_path(0, 2, 188)
    tile = bytearray(path.read_bytes())
    tile[5] ^= 1
    path.write_bytes(tile)
    with pytest.raises(LogDamaged, match="edge-wrong"):
        log.folder.append(log.edge, [b"more"])


def test_nothing_is_left_of_a_write(log: GrownLog) -> None:
    assert not (log.folder.path / module._NEW).exists()
