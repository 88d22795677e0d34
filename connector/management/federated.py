"""The catalogues of all whom we deal with, read now: what EDC keeps in a cache is asked for here when somebody wants to see it.

Bounded in participants, in how many are read at once, and in time; who does not answer is counted and not waited for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from connector.identity.participants import Admission
from connector.management.business import Business, Counterparty, RemoteFailed, catalog
from connector.management.model import QuerySpec
from connector.protocol.errors import CallerError, CarnetError, InvariantBroken
from connector.protocol.messages import Document
from connector.telemetry import logger

AT_ONCE: Final = 8
"""Most catalogues that are read at once."""
READING_S: Final = 40.0
"""How long all of them may take together (seconds)."""
MOST: Final = 200
"""Most participants whose catalogues are read for one request."""
DATASETS_MOST: Final = 1000
"""Most datasets that are shown of one participant."""
log = logger("management")


@dataclass(frozen=True, slots=True)
class Federated:
    """Catalogues by participant, in the order of their ids; ``unanswered``: of so many others none came."""

    catalogs: tuple[tuple[str, tuple[Document, ...]], ...]
    unanswered: int


async def catalogs(b: Business, spec: QuerySpec) -> Federated:
    """The catalogues of admitted participants: ``offset`` and ``limit`` count participants, criteria are about datasets, and a
    participant none of whose datasets meets them is left out. Raises CallerError for a sort field."""
    if spec.sort_path:
        raise CallerError("sort-unsupported", "catalogues are in the order of the participants; leave sortField out")
    asked = await _participants(b, spec)
    wanted = replace(spec, offset=0, limit=DATASETS_MOST)
    found: dict[str, tuple[Document, ...]] = {}
    turns = asyncio.Semaphore(AT_ONCE)

    async def read(participant: str) -> None:
        async with turns:
            try:
                found[participant] = tuple(await catalog(b, Counterparty(participant), wanted))
            except InvariantBroken:
                raise
            except CarnetError as error:
                level = log.info if isinstance(error, RemoteFailed) else log.warning
                level("a catalogue was not read", participant=participant, code=error.code)

    tasks = [asyncio.create_task(read(each)) for each in asked]
    try:
        if tasks:
            await asyncio.wait(tasks, timeout=READING_S)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for each in ended:
        if isinstance(each, Exception):
            raise each
    shown = tuple((each, found[each]) for each in asked if found.get(each) or (each in found and not spec.criteria))
    return Federated(shown, len(asked) - len(found))


async def _participants(b: Business, spec: QuerySpec) -> list[str]:
    """Whose catalogues are asked for, a page of them."""
    store, found, last = b.m.context.registry.store, list[str](), ""
    most = spec.offset + min(spec.limit, MOST)
    while len(found) < most:
        page = await store.participants(after=last, limit=100, state=Admission.ADMITTED)
        found += [each.id for each in page if each.id != b.m.context.participant_id]
        if len(page) < 100:
            break
        last = page[-1].id
    return found[spec.offset : most]
