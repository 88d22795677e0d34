"""What the data plane says to the contract log, put into it once however often it is said.

What is said names no vehicle: where it is about vehicles, the data plane is asked for their names, page by page, and the index
that is made of them stands beside the log before the leaf is queued. The index of the same vehicles is always the same, so that
a repetition gets the same answer. May import the context, the log and the store's statements.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta

from connector.flow.context import Context
from connector.log.leaf import OWN_ID, VERSION, Draft, moment, unfit
from connector.log.persons import Indexed
from connector.log.vehicle_index import MAX_VEHICLES
from connector.protocol.errors import CallerError
from connector.protocol.messages import Document
from connector.store.engine import LostRace
from connector.store.registry import use_once

REMEMBERED_MS: Final = 34_560_000_000
"""How long it is remembered that a leaf was told (ms): 400 days."""
MAX_MEMBERS: Final = 16
Text = Annotated[str, Meta(max_length=2048)]


class Told(msgspec.Struct, frozen=True):
    """A leaf of the data plane. ``process``: our transfer; ``party``: the counterparty; ``at``: ms since the epoch. Where
    ``vehicles`` is there, the data plane knows which ones it is about."""

    id: Annotated[str, Meta(min_length=1, max_length=128)]
    type: Literal["receipt", "consents", "erasure", "meter"]
    members: Annotated[dict[str, str | int], Meta(max_length=MAX_MEMBERS)]
    at: Annotated[int, Meta(ge=0, lt=2**47)]
    process: Text = ""
    agreement: Text = ""
    party: Text = ""
    asset: Text = ""
    vehicles: dict[str, Any] | None = None


async def told(context: Context, leaf: Told) -> Document:
    """Queue a leaf; gives the digest of the index of its vehicles (hex, or None) and how many they are.

    Raises CallerError for a leaf that the log cannot have, Unavailable if data plane, keys or database are away.
    """
    draft = _draft(leaf)
    indexed = None if leaf.vehicles is None else await _indexed(context, leaf.id, draft.process)
    if indexed is not None:
        draft = replace(draft, members={**draft.members, "vehicles": indexed.vehicles, "index": indexed.sha256})
    once = use_once(f"leaf:{leaf.id}", context.now_ms() + REMEMBERED_MS)
    try:
        await context.store.commit([once, *await context.journal.leaves([draft])])
    except LostRace:
        # It was told before.
        pass
    else:
        context.journal.queued()
    return {"index": None if indexed is None else indexed.sha256, "vehicles": 0 if indexed is None else indexed.vehicles}


def _draft(leaf: Told) -> Draft:
    members = dict(leaf.members)
    if leaf.type == "receipt":
        members["first"] = moment(leaf.at)
    elif leaf.type == "meter":
        members["closed"] = moment(leaf.at)
    process = leaf.process if OWN_ID.fullmatch(leaf.process) else leaf.id
    said = {"v": VERSION, "id": leaf.id, "type": leaf.type, "time": moment(leaf.at), "process": process, **members}
    wrong = unfit(said)
    if wrong is not None:
        raise CallerError("leaf-member", f"a leaf of type {leaf.type} cannot say {wrong[:64]}")
    role = "consumer" if members.get("role") == "consumer" else "provider"
    return Draft(
        leaf.type,
        members,
        process=process,
        party=leaf.party,
        agreement=leaf.agreement if leaf.party else "",
        role=role,
        asset=leaf.asset,
        at=leaf.at,
    )


async def _indexed(context: Context, leaf_id: str, process: str) -> Indexed | None:
    """The index of the vehicles that a leaf is about, beside the log. Raises CallerError or Unavailable."""
    vehicles: list[str] = []
    after: int | None = -1
    while after is not None:
        page = await context.seals.ask("GET", f"/carnet/leaves/{quote(leaf_id, safe='')}/vehicles?after={after}", None)
        vehicles += page["vehicles"]
        after = page["after"]
        if len(vehicles) > MAX_VEHICLES:
            raise CallerError("index-too-large", f"a leaf is about more than {MAX_VEHICLES} vehicles")
    return await context.persons.index(process, vehicles)
