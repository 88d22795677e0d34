"""The bundle of an agreement, whole: its sources, what follows from them, the manifest and its seal.

The only place that puts them together. It is sealed with our key for agreements; a connector without one makes none.
"""

from __future__ import annotations

import asyncio
from typing import IO, Final

import orjson

from connector.evidence import manifest, members
from connector.evidence.gathering import agreement_named, gather
from connector.evidence.manifest import Document, Manifest
from connector.evidence.zipped import write_zip
from connector.flow.context import Context
from connector.flow.envelope import instant
from connector.identity import seal
from connector.log.access import LogAccess
from connector.protocol.errors import Unavailable

Members = dict[str, bytes]
AT_ONCE: Final = 2
"""Bundles that are made at a time: each is whole in memory meanwhile."""
_places = asyncio.Semaphore(AT_ONCE)


async def bundle(context: Context, log: LogAccess | None, agreement_id: str, counterparty: str | None = None) -> Members:
    """All members of the bundle by name. Raises NotFound, CallerError and Unavailable."""
    async with _places:
        sources = await gather(context, log, await agreement_named(context, agreement_id, counterparty))
        whole = await asyncio.to_thread(lambda: {**sources, **members.derived(sources)})
        return seal_up(context, orjson.loads(sources[members.CONTRACT]), whole)


def seal_up(context: Context, facts: Document, whole: Members) -> Members:
    """The members with their manifest, which is about what ``facts`` (contract.json) say, and its seal. Raises Unavailable."""
    listed = Manifest(
        schema=manifest.SCHEMA,
        agreement=facts["agreement"],
        exporter=facts["us"],
        counterparty=facts["counterparty"],
        role=facts["role"],
        made_at=instant(facts["exportedAt"]),
        release=manifest.release(),
        members=manifest.digests(whole),
    )
    found = {**whole, manifest.NAME: manifest.manifest_bytes(listed)}
    if context.seals.own is None:
        raise Unavailable("signing-key-missing", "there is no key to seal the bundle with")
    key, kid = context.seals.own()
    found[manifest.SEAL] = seal.seal(key, kid, manifest.TYPE, manifest.sealed_content(listed)).encode()
    return found


async def write_bundle(into: IO[bytes], found: Members) -> None:
    """Write the zip."""
    await asyncio.to_thread(write_zip, into, found)
