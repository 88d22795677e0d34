"""Two running connectors make a contract: each cosigns the log of the other by the keys that its DID document publishes."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.log.note import ED25519, Verifier, opened
from tests.faults.couple import Couple, Party, open_couple, until

pytestmark = pytest.mark.timeout(180)


async def log_of(couple: Couple, party: Party) -> dict[str, object]:
    other = couple.consumer if party is couple.provider else couple.provider
    return dict((await party.asked(lambda owner: owner.peer(other.id)))["log"])


async def test_after_a_contract_each_has_cosigned_the_log_of_the_other(tmp_path: Path) -> None:
    async with open_couple(tmp_path) as couple:
        table = couple.provider.folder / "table.csv"
        table.write_text("vehicle,at,value\nv1,2026-01-01T00:00:00Z,1\n", encoding="utf-8")
        await couple.offer("urn:asset:table", table, [])
        await couple.agreed("urn:asset:table")

        async def both() -> bool:
            found = [await log_of(couple, party) for party in (couple.provider, couple.consumer)]
            return all(each["state"] == "witnessed" and each["cosignedSize"] and each["seenSize"] for each in found)

        await until(both)
        for party in (couple.provider, couple.consumer):
            folder = next(path.parent for path in party.folder.rglob("log.vkey"))
            own = Verifier.parse((folder / "log.vkey").read_text().split()[0])
            (cosigned,) = {path.name.partition(".")[0]: path for path in (folder / "cosigned").iterdir()}.values()
            found = opened(cosigned.read_text(), [own])
            assert found.verified[0].verifier.kind == ED25519
            assert cosigned.read_text().count("/witness ") == 1
            assert list((folder / "seen").rglob("*"))
