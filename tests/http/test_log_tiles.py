"""The checkpoint and hash tiles of our log as a witness reads them: enough for a proof of its own, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.flow.logs import Witnessing
from connector.http.log_tiles import LogTiles
from connector.identity.interface import Principal
from connector.log.merkle import HASH_BYTES, check_consistency
from connector.log.note import opened
from connector.log.proofs import consistency, root_of
from connector.log.tiles import tile_path
from connector.protocol.errors import NotFound
from tests.log.ledgers import Ledger

PEER = Principal("did:web:peer")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    found = Ledger(tmp_path / "log", "us.example/log")
    found.fill(700)
    return found


@pytest.fixture
def served(ledger: Ledger) -> LogTiles:
    return LogTiles(Witnessing(log=ledger.witnessed, key=lambda: ledger.key))


class Fetched:
    """Tiles that were fetched before a proof is made of them."""

    def __init__(self) -> None:
        self.tiles: dict[str, bytes] = {}

    def hash_tile(self, level: int, number: int, width: int) -> bytes:
        return self.tiles[tile_path(level, number, width)]


async def test_a_witness_makes_the_proof_of_consistency_itself(ledger: Ledger, served: LogTiles) -> None:
    answer = await served.checkpoint(PEER)
    assert answer.text is not None
    checkpoint = opened(answer.text, [ledger.signer.verifier]).checkpoint
    there = Fetched()
    for name in ("0/000", "0/001", "0/002.p/188", "1/000.p/2"):
        tile = (await served.tile(PEER, name)).body
        assert isinstance(tile, bytes)
        assert len(tile) % HASH_BYTES == 0
        there.tiles[f"tile/{name}"] = tile
    assert root_of(there, 700) == checkpoint.root
    old = Ledger(ledger.path.with_name("old"), ledger.origin)
    old.fill(300)
    check_consistency(300, old.edge.root(), 700, checkpoint.root, consistency(there, 300, 700))


@pytest.mark.parametrize(
    "path",
    [
        "entries/000",
        "entries/002.p/188",
        "0/002",
        "0/002.p/189",
        "0/003.p/1",
        "0/000.p/256",
        "0/000.p/0",
        "0/000.p/01",
        "0/000.p/257",
        "00/000",
        "8/000",
        "63/000",
        "1/000",
        "2/000.p/1",
        "0/0",
        "0/x000/001",
        "0/x001/x000/000",
        "0/999",
        "0/x999/x999/x999/x999/999",
        "0/../../checkpoint",
        "../payloads.db",
        "0/000/",
        "",
    ],
)
async def test_nothing_else_is_served(served: LogTiles, path: str) -> None:
    with pytest.raises(NotFound, match="tile-unknown"):
        await served.tile(PEER, path)


async def test_what_no_checkpoint_covers_is_not_served(ledger: Ledger, served: LogTiles) -> None:
    ledger.folder.append(ledger.edge, [b"not yet"])
    with pytest.raises(NotFound):
        await served.tile(PEER, "0/002.p/189")


async def test_who_is_not_vouched_for_gets_nothing(served: LogTiles) -> None:
    stranger = Principal("did:web:stranger", admitted=False)
    for asked in (served.checkpoint(stranger), served.tile(stranger, "0/000")):
        with pytest.raises(NotFound):
            await asked
    with pytest.raises(NotFound):
        await LogTiles(Witnessing()).checkpoint(PEER)


async def test_an_empty_log_has_no_checkpoint(tmp_path: Path) -> None:
    empty = Ledger(tmp_path / "empty", "us.example/log")
    with pytest.raises(NotFound):
        await LogTiles(Witnessing(log=empty.witnessed, key=lambda: empty.key)).checkpoint(PEER)
