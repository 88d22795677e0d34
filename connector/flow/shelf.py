"""The catalogue as one participant sees it (DCAT 3 as DSP 2025-1 profiles it): pages, single datasets, and why something is not
there.

What stands in the catalogue was written when it was published; a page puts texts together and reads none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from connector.flow import filters
from connector.flow.context import Context
from connector.flow.described import Us, with_offers
from connector.flow.sight import access_policy, decide, open_to
from connector.identity.interface import Principal
from connector.protocol.errors import NotFound
from connector.protocol.messages import DSP_CONTEXT, Document
from connector.store.rows import Offered, Visibility, Visible
from policies import dsp
from policies.decision import Decision, Reason
from policies.errors import PolicyInvalid

NOT_OPEN: Final = "not-open"
"""The code of the reason why an offer is not shown to somebody whatever its own policy says."""
_CONTEXT: Final = f'"@context":["{DSP_CONTEXT}"]'


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the catalogue as sent, and the token of the next one."""

    body: bytes
    next_token: str | None


@dataclass(frozen=True, slots=True)
class Looked:
    """Whether a participant sees an offer. ``open_to``: to whom it is shown at all; ``decision`` is what its policy says."""

    offer_id: str
    shown: bool
    open_to: Visible
    decision: Decision


async def catalog_page(context: Context, principal: Principal, request: Document, token: str | None, page_size: int) -> Page:
    """One page for a CatalogRequestMessage: the datasets of which ``principal`` may see an offer, with these offers.

    Raises BadMessage for a filter or token that we do not understand.
    """
    window = filters.page(token, request.get("filter"), page_size)
    store = context.store.shelf
    seen = await _seen(context, principal)
    ids = await store.visible(seen, window.after, window.offset + window.limit + 1, window.wanted)
    more, ids = len(ids) > window.offset + window.limit, ids[window.offset : window.offset + window.limit]
    shown = await store.shown(ids, seen) if ids else []
    datasets = ",".join(with_offers(each.brief, each.offers) for each in shown)
    listed = f',"dataset":[{datasets}]' if shown else ""
    body = f"{{{_CONTEXT},{_head(context)}{listed}}}"
    return Page(body.encode(), filters.next_token(window, ids[-1]) if more and ids else None)


def _head(context: Context) -> str:
    us = Us(context.participant_id, context.callback_address)
    head = {
        "@id": f"{context.participant_id}:catalog",
        "@type": "Catalog",
        "participantId": context.participant_id,
        "service": [us.service()],
    }
    return orjson.dumps(head).decode()[1:-1]


async def dataset_document(context: Context, principal: Principal, dataset_id: str) -> bytes:
    """One dataset with the offers that ``principal`` sees. Raises NotFound, also where these are none."""
    row = await context.store.dataset(dataset_id)
    offers = [] if row is None or row.withdrawn_at is not None else await seen_offers(context, principal, dataset_id)
    if row is None or not offers:
        raise NotFound("dataset-unknown", "no such dataset is on offer here; read the catalogue again")
    document = {**orjson.loads(row.document), "hasPolicy": [orjson.Fragment(each.document) for each in offers]}
    return orjson.dumps({"@context": [DSP_CONTEXT], **document})


async def seen_offers(context: Context, principal: Principal, dataset_id: str) -> list[Offered]:
    """The offers of a dataset that ``principal`` sees, in the owner's order. Whether it was withdrawn is not looked at."""
    seen = await _seen(context, principal)
    return [each for each in await context.store.shelf.offers(dataset_id) if each.visibility in seen]


async def why_not(context: Context, principal: Principal, dataset_id: str) -> list[Looked]:
    """Each offer of a dataset with the decision about who sees it. Raises NotFound if the dataset is not on offer at all."""
    row = await context.store.dataset(dataset_id)
    if row is None or row.withdrawn_at is not None:
        raise NotFound("dataset-unknown", f"no dataset {dataset_id:.80} is on offer")
    offers = await context.store.shelf.offers(dataset_id)
    decides = {each.digest: each for each in await context.store.shelf.visibilities([each.visibility for each in offers])}
    return [_looked(context, principal, each, decides[each.visibility]) for each in offers if each.visibility in decides]


def _looked(context: Context, principal: Principal, offer: Offered, decides: Visibility) -> Looked:
    decision, to = _judged(context, principal, offer), decides.open_to
    access = judged_access(context, principal, decides.access, offer.dataset) if decides.access else None
    if access is not None and not access.permitted:
        said = "the access policy of its contract definition does not permit it"
        decision = Decision("deny", (Reason(NOT_OPEN, "", said), *access.reasons), access.report)
    reached = open_to(principal, to)
    if not reached:
        said = "nobody has vouched for the participant, and the dataset is not open to all"
        if to == "nobody":
            said = "an earlier release published it, and it says something that cannot be kept here"
        remedy = "publish it again" if to == "nobody" else "admit the participant, or open the dataset to all"
        kept = () if decision.permitted else decision.reasons
        decision = Decision("deny", (Reason(NOT_OPEN, "", said, remedy), *kept), decision.report)
    return Looked(offer.id, reached and decision.permitted, to, decision)


def _judged(context: Context, principal: Principal, offer: Offered) -> Decision:
    document: Any = orjson.loads(offer.document)
    try:
        policy = dsp.read(document)
    except PolicyInvalid as invalid:
        return Decision("deny", (Reason(invalid.code, invalid.path, invalid.reason),))
    return decide(policy, principal, offer.dataset, context.now_ms(), context.declared)


async def kept_from(context: Context, principal: Principal, offer_id: str, dataset_id: str) -> bool:
    """Whether the contract definition of an offer keeps it from a caller, whatever its terms would permit."""
    decides = await context.store.shelf.access(offer_id, dataset_id)
    return decides is not None and keeps_from(context, principal, decides, dataset_id)


def keeps_from(context: Context, principal: Principal, decides: Visibility, dataset_id: str) -> bool:
    """The same, where what decides it is at hand."""
    if not open_to(principal, decides.open_to):
        return True
    return bool(decides.access) and not judged_access(context, principal, decides.access, dataset_id).permitted


def judged_access(context: Context, principal: Principal, access: str, dataset_id: str) -> Decision:
    """Whether an access policy lets a caller have anything to do with an offer, and why."""
    try:
        policy = access_policy(access)
    except PolicyInvalid as invalid:
        return Decision("deny", (Reason(invalid.code, invalid.path, invalid.reason),))
    return decide(policy, principal, dataset_id, context.now_ms(), context.declared)


async def _seen(context: Context, principal: Principal) -> frozenset[str]:
    return await context.sight.seen(context.store.shelf, principal, context.now_ms(), context.declared)
