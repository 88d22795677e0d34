"""Contract definitions carried out, asset by asset: checked before they are kept, and finished whatever happens meanwhile.

1. ``check``: everything that a proposed change would offer is made and thrown away; nothing is written.
2. The change is committed, if no definition was changed since it was checked. From then on it holds for new assets, too.
3. ``carry_out``: datasets that the definition offers and does not select any more lose its offers; then the selected assets get
   them, some at a time, each commit saying how far it has come.
After a kill ``finish`` goes on where the last commit ended. Every commit is guarded by the versions of the definitions and of its
assets, so that any number of walks may meet. May import the store, flow and this package.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from connector.management.model import Asset, ContractDefinition
from connector.management.offering import NONE, Made, Strict, offer, taken_off
from connector.management.rules import RACES_MOST, Rules, busy
from connector.management.sources import found
from connector.protocol.errors import CarnetError, Conflict
from connector.store.definitions import NOT_BEGUN, reach
from connector.store.engine import LostRace, StoreUnavailable
from connector.store.projection import Stock, still, unchanged
from connector.telemetry import logger

if TYPE_CHECKING:
    from connector.management.service import Management

BATCH: Final = 50
"""Assets in one commit."""
log = logger("management")


async def check(m: Management, proposed: Rules, definition: ContractDefinition) -> None:
    """Raises PublicationRefused for an asset that cannot be offered as a contract definition says, whatever else is offered."""
    # Even if there is no asset yet.
    await proposed.access(definition.access_policy)
    strict, last = Strict(frozenset({definition.id})), ""
    while assets := await m.store.assets_after(last, BATCH, definition.selector):
        stocked = await m.projection.stocked([each.id for each in assets])
        for each in assets:
            await asyncio.sleep(0)  # others have their turn
            stock = stocked.get(each.id, Stock())
            await offer(m, proposed, each, found(stock.source), strict, promised=stock.promised)
        if len(assets) < BATCH:
            return
        last = assets[-1].id


async def carry_out(m: Management, definition_id: str) -> None:
    """Offer what a contract definition selects, and nothing else under it; one that is gone offers nothing.

    Raises Conflict where others change definitions faster than that; ``finish`` does the rest then.
    """
    left: int | None = None
    races = 0
    while True:
        place = await m.store.reached(definition_id)
        if place is None:
            await _leave(m, definition_id)
            return
        version, reached = place
        if reached is None:
            return
        if reached == NOT_BEGUN and left != version:
            await _leave(m, definition_id)
            left = version
            continue
        try:
            await _next(m, definition_id, version, reached)
            races = 0
        except LostRace:
            races += 1
            if races >= RACES_MOST:
                raise busy() from None


async def settle(m: Management, definition_id: str) -> None:
    """Carry out a change that is kept. Where that cannot be done to its end now, ``finish`` does the rest: who made the change is
    not told that it was refused."""
    try:
        await carry_out(m, definition_id)
    except (Conflict, StoreUnavailable) as error:
        log.warning("a contract definition is carried out later", definition=definition_id, why=str(error))


async def finish(m: Management) -> None:
    """Carry out what was left. What cannot be done is named in the log, and tried at the next time."""
    unfinished = [definition_id for definition_id, _, _ in await m.store.unfinished(limit=10_000)]
    for each in [*unfinished, *await m.projection.orphaned()]:
        try:
            await carry_out(m, each)
        except CarnetError as error:
            log.warning("a contract definition is not carried out yet", definition=each, code=error.code, why=error.reason)


async def _leave(m: Management, definition_id: str) -> None:
    """Datasets with offers of a contract definition that does not select them any more lose these."""
    last, races = "", 0
    while ids := await m.store.offered_under(definition_id, last, BATCH):
        rules = await m.rules()
        assets = {each.id: each for each in [await m.store.asset(name) for name in ids] if each is not None}
        gone = [name for name in ids if name not in assets]
        others = [each for each in assets.values() if all(known.id != definition_id for known in rules.selecting(each))]
        try:
            await _commit(m, rules, others, gone)
        except LostRace:
            races += 1
            if races >= RACES_MOST:
                raise busy() from None
            continue
        last, races = ids[-1], 0


async def _next(m: Management, definition_id: str, version: int, reached: str) -> None:
    """The next assets that a contract definition selects. Raises LostRace."""
    rules = await m.rules()
    definition = rules.definitions.get(definition_id)
    if definition is None or definition.version != version:
        raise LostRace
    assets = await m.store.assets_after(reached, BATCH, definition.selector)
    after = assets[-1].id if len(assets) == BATCH else None
    await _commit(m, rules, assets, (), reached=(definition_id, version, after))


async def _commit(
    m: Management, rules: Rules, assets: Sequence[Asset], gone: Sequence[str], reached: tuple[str, int, str | None] | None = None
) -> None:
    """Offer what is to be offered of these assets, in one transaction. Raises LostRace."""
    stocked = await m.projection.stocked([each.id for each in assets])
    made = Made()
    for each in assets:
        await asyncio.sleep(0)
        stock = stocked.get(each.id, Stock())
        one = await offer(m, rules, each, found(stock.source), NONE, promised=stock.promised)
        made.statements += [still(each), *one.statements]
        made.told += one.told
    for name in gone:
        one = await taken_off(m, name)
        made.statements += one.statements
        made.told += one.told
    if reached is not None:
        made.statements.append(reach(*reached))
    if made.statements:
        await m.context.commit([unchanged(rules.version), *made.statements], made.told)
