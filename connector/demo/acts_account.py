"""The last act: who got what, receipts of both sides, what is owed, and where everything is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Final

from connector.client.local import Document
from connector.demo.governed import Delivered
from connector.demo.stage import STEP_S, Stage, hold

_LINE: Final = "   {:<9} {:<31} {:>8} {:>7} {:>9} {:>9} {:>9}"


async def account(stage: Stage, deliveries: Iterable[Delivered]) -> None:
    """A table of what went where, counted in the raw table; receipts; statements."""
    stage.act("The account: what went where, counted again in the raw table")
    found = list(deliveries)
    stage.say(_LINE.format("to whom", "as what", "vehicles", "trips", "km", "rows", "bytes"))
    for each in found:
        behind = each.behind
        figures = (behind.vehicles, behind.trips, f"{behind.km:.0f}", each.received["rows"], each.received["bytes"])
        stage.say(_LINE.format(each.to.name, each.what, *figures))
    receipts, owed = 0, []
    for agreement in dict.fromkeys(each.agreement for each in found):
        buyer = next(each.to for each in found if each.agreement == agreement)
        receipts += len(await _countersigned(stage, agreement, buyer.name))
        owed.append(await _owed(stage, agreement, buyer.name))
    stage.tell("oem", f"receipts: {receipts}, the same bytes on both sides, countersigned; owed to the oem so far:")
    for line in owed:
        stage.tell("", line)


async def _countersigned(stage: Stage, agreement: str, buyer: str) -> list[Document]:
    """The receipts of an agreement once both sides have signed them."""
    async with asyncio.timeout(STEP_S):
        while True:
            sides = [await stage.members[name].client.receipts(agreement) for name in ("oem", buyer)]
            if all(sides) and {receipt["state"] for side in sides for receipt in side} == {"countersigned"}:
                break
            await asyncio.sleep(0.05)
    hold(
        [each["content"] for each in sides[0]] == [each["content"] for each in sides[1]],
        "the two sides hold different receipts",
    )
    return sides[0]


async def _owed(stage: Stage, agreement: str, buyer: str) -> str:
    """What the provider's statement says that a buyer owes."""
    told = await stage.oem.client.statement(agreement)
    lines = [
        f"{line['quantity']} x {line['price']} {line['currency']} = {line['amount']} {line['currency']}, by "
        f"{line['unit'].rpartition('#')[2].lower()}"
        for line in told["lines"]
    ]
    total = sum((Decimal(line["amount"]) for line in told["lines"]), Decimal(0))
    hold((total > 0) == (buyer != "city"), f"the {buyer} owes {total}")
    return f"{buyer:<9} {'; '.join(lines) or '0.00 EUR, a public body'}"


def files(stage: Stage, folder: Path, deliveries: Iterable[Delivered], others: Iterable[Path]) -> None:
    """The place of every file that was made or came, by whose it is."""
    found = [*others, *(path for each in deliveries for path in (each.file, *each.made))]
    for path in found:
        hold(path.exists(), f"{path} is not there")
    stage.say(f"Files, below {folder}:")
    within = [path.relative_to(folder) if path.is_relative_to(folder) else path for path in found]
    for whose in dict.fromkeys(path.parts[0] for path in within):
        stage.tell("", " ".join(str(path) for path in within if path.parts[0] == whose))
