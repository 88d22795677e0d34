"""Put datasets on offer and take them off: what stands in the catalogue, who sees it, and on what terms it can be had."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import orjson

from catalog.errors import DocumentError
from catalog.findings import check
from connector.flow.context import Context
from connector.flow.described import Described, TemplateAnswers, Us, Wanted, describe, rendered
from connector.flow.leaves_standing import of_offer
from connector.flow.offers import Proposal, examine, refuse_releases, taken
from connector.flow.sight import visibility
from connector.log.leaf import Draft
from connector.protocol.errors import CallerError, Conflict, NotFound, Outdated
from connector.protocol.messages import DSP_CONTEXT, Document
from connector.protocol.record import Rule
from connector.store import shelf, writes
from connector.store.engine import LostRace
from connector.store.rows import Offered, OpenTo, Published
from policies.delivery import Capabilities
from policies.exclusivity import claims_exclusivity

Look = Callable[[list[Document]], Awaitable[list[Document]]]
"""What each permission of these offers would release from the source: as the data plane answers ``POST /carnet/releases``."""
USE_OFFER: Final[Document] = {"permission": [{"action": "use"}]}


async def publish(
    context: Context,
    dataset_id: str,
    *,
    title: str = "",
    source: str,
    offers: list[Document],
    media_type: str | None = None,
    open_to: OpenTo = "admitted",
    record: Document | None = None,
    template: str | None = None,
    answers: TemplateAnswers | None = None,
    able: Capabilities | None = None,
    look: Look | None = None,
    dry: bool = False,
    seen: int | None = None,
    approval: Rule | None = None,
) -> Document:
    """Put a dataset on offer, or replace its offers. ``source`` names the file that the data plane has registered for it.

    ``able`` is what the data plane can do with that source, and nothing else is believed; None: what it can do with any.
    ``look`` says what each offer would release; what it finds wrong keeps the offer from being published. ``dry``: nothing is
    published, and what ``look`` finds wrong is left to who asked.

    ``record`` describes it (JSON-LD, as ``catalog.dcat`` reads it); ``template`` with ``answers`` makes record and an offer;
    else it has a title. ``offers`` are in full ODRL or in DSP's form; without any it may be used. ``open_to``: shown to
    participants that somebody has vouched for, or also to those that have only shown who they are; whom of them the policy of
    an offer permits nothing does not see it.

    ``seen``: replace only what was published at that time (ms). ``approval``: who is asked before one of the offers binds us.

    Raises PublicationRefused with all that is wrong with record or offers, CallerError for what no peer could read in a
    catalogue, Conflict if an offer id belongs to another dataset or this one to an asset, Outdated if it is not any more as it
    was ``seen``.
    """
    if not dry:
        await check_own(context, dataset_id)
    us = Us(context.participant_id, context.callback_address)
    wanted = Wanted(title=title, media_type=media_type, record=record, template=template, answers=answers)
    can = Capabilities(context.declared) if able is None else able
    described, made = describe(us, dataset_id, source, wanted, can)
    given = [*offers, *made] or [USE_OFFER]
    ids = iter(context.new_id, None)
    proposals = examine(given, dataset_id, context.participant_id, described.capabilities, ids)
    await check_promised(context, dataset_id, proposals)
    if look is not None:
        releases = await look([each.document for each in proposals])
        if not dry:
            refuse_releases(releases)
    document: Document = {**described.document, "hasPolicy": [each.document for each in proposals]}
    check_readable(document)
    if not dry:
        await _keep(context, described, proposals, document, source, open_to, seen, approval)
    return document


async def check_seen(context: Context, dataset_id: str, seen: int) -> None:
    """Raises Outdated unless the dataset is on offer as it was published at ``seen`` (ms)."""
    row = await context.store.dataset(dataset_id)
    if row is None or row.withdrawn_at is not None or row.published_at != seen:
        raise Outdated("outdated", "the dataset was changed meanwhile; read it again and decide anew")


async def check_own(context: Context, dataset_id: str) -> None:
    """Raises Conflict for the dataset of an asset: what is offered of it follows from contract definitions."""
    if await context.store.shelf.of_asset(dataset_id):
        said = f"{dataset_id:.80} is an asset; change the asset, or the contract definitions that offer it"
        raise Conflict("dataset-of-asset", said)


async def check_promised(context: Context, dataset_id: str, proposals: list[Proposal]) -> None:
    """Raises PublicationRefused for ground that an agreement has exclusively, or that an exclusive offer would take from one."""
    exclusive = any(claims_exclusivity(each.policy) for each in proposals)
    taken(proposals, dataset_id, await context.store.shelf.promised(dataset_id, exclusively=not exclusive))


def check_readable(document: Document) -> None:
    """One dataset that a strict peer cannot read would hide all the others from it."""
    if any("\0" in text for text in (document["@id"], *(str(offer["@id"]) for offer in document["hasPolicy"]))):
        raise CallerError("text-invalid", "an id has the character U+0000 in it; leave it out")
    try:
        check({"@context": [DSP_CONTEXT], **document}, "Dataset")
    except DocumentError as error:
        raise CallerError("dataset-invalid", f"{error.path}: {error.reason}") from error


async def _keep(
    context: Context,
    described: Described,
    proposals: list[Proposal],
    document: Document,
    source: str,
    open_to: OpenTo,
    seen: int | None,
    approval: Rule | None,
) -> None:
    dataset_id: str = document["@id"]
    decides = [visibility(each.document, open_to) for each in proposals]
    asks = "" if approval is None else msgspec.json.encode(approval).decode()
    offers = [
        Offered(each.document["@id"], dataset_id, position, orjson.dumps(each.document).decode(), each.original, by.digest, asks)
        for position, (each, by) in enumerate(zip(proposals, decides, strict=True))
    ]
    row = row_of(context, described, document, source, open_to)
    told = await told_of(context, row)
    guarded = [] if seen is None else [shelf.still_published(dataset_id, seen)]
    try:
        await context.commit([*guarded, *shelf.publish_dataset(row, offers, decides)], told)
    except LostRace as error:
        if seen is not None:
            await check_seen(context, dataset_id, seen)
        raise Conflict("offer-id-taken", "an offer id belongs to another dataset; leave it out or choose another") from error


def row_of(context: Context, described: Described, document: Document, source: str, open_to: OpenTo) -> Published:
    """The dataset as it is kept: ``document`` is the described one with its offers."""
    return Published(
        id=document["@id"],
        document=orjson.dumps(document).decode(),
        source=source,
        published_at=context.now_ms(),
        open_to=open_to,
        record=orjson.dumps(described.record).decode(),
        brief=rendered(described.brief),
        words=described.words,
        theme=described.theme,
        able=msgspec.json.encode(described.capabilities).decode(),
    )


async def told_of(context: Context, after: Published) -> list[Draft]:
    """What the contract log is told: nothing, where what is on offer stays as it is."""
    before = await context.store.dataset(after.id) if context.logs else None
    if before is None or before.withdrawn_at is not None:
        return [of_offer(after, "published", after.published_at)] if context.logs else []
    same = (before.document, before.open_to) == (after.document, after.open_to)
    return [] if same else [of_offer(after, "changed", after.published_at)]


async def withdraw(context: Context, dataset_id: str) -> None:
    """Take a dataset off the catalogue; agreements go on. Raises NotFound, Conflict for that of an asset."""
    await check_own(context, dataset_id)
    now, known = context.now_ms(), await context.store.dataset(dataset_id) if context.logs else None
    told = [] if known is None else [of_offer(known, "withdrawn", now)]
    try:
        await context.commit([writes.withdraw_dataset(dataset_id, now)], told)
    except LostRace as error:
        raise NotFound("dataset-unknown", f"no dataset {dataset_id:.80} is on offer") from error
