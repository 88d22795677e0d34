"""Use cases of an owner who wants to understand: what an offer or agreement says, and what a participant would get of it.

Nothing here changes anything, and nobody is asked but our own store and registry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import orjson

from connector.flow.context import Context
from connector.flow.shelf import NOT_OPEN, why_not
from connector.flow.told import Document, policy_told, simulation_told
from connector.identity.interface import Principal
from connector.identity.participants import Admission, Claims
from connector.protocol.errors import CallerError, Conflict, NotFound
from connector.protocol.messages import PULL
from connector.protocol.states import Role
from connector.store.rows import Offered
from policies import dsp
from policies.delivery import Capabilities
from policies.errors import PolicyInvalid
from policies.explain import Reader
from policies.model import Policy
from policies.simulation import Case, simulate
from policies.terms.time import AGREED_AT


@dataclass(frozen=True, slots=True)
class Supposed:
    """Who is supposed to ask, and when (ms since the epoch).

    Without ``claims`` those of the registry hold, as far as the participant is admitted there. With them it is supposed to be
    admitted. ``agreed``: when the contract was made.
    """

    participant: str
    claims: Claims | None = None
    purpose: str | None = None
    at: int | None = None
    agreed: int | None = None


async def explain(context: Context, what: str, reader: Reader) -> Document:
    """What an agreement, an offer that we published, or the only offer of a dataset of ours says and how its terms are kept.

    Raises NotFound, Conflict for a dataset with several offers, and CallerError for an agreement that another side wrote in a way
    that we cannot read.
    """
    agreements = await context.store.agreements_by_id(what)
    if agreements:
        ours = agreements[0].role == Role.PROVIDER.value
        able = await context.able(agreements[0].dataset) if ours else Capabilities(context.declared, formats=frozenset({PULL}))
        return policy_told(_read(orjson.loads(agreements[0].document)), able, reader)
    offers: Sequence[Offered] = await context.store.shelf.offers(what)
    if len(offers) > 1:
        raise Conflict("offer-several", f"{what:.120} has {len(offers)} offers; name one of them")
    offer = offers[0] if offers else await _offer(context, what)
    said = _read({**orjson.loads(offer.document), "target": offer.dataset})
    return policy_told(said, await context.able(offer.dataset), reader)


async def suppose(context: Context, what: str, supposed: Supposed, reader: Reader) -> list[Document]:
    """What the participant would get of an offer, or of each offer of a dataset; and why it is not shown one. Raises NotFound."""
    offers: Sequence[Offered] = await context.store.shelf.offers(what) or [await _offer(context, what)]
    asking = await _principal(context, supposed)
    now_ms = context.now_ms() if supposed.at is None else supposed.at
    facts = {} if supposed.agreed is None else {AGREED_AT: supposed.agreed}
    case = Case(asking.participant_id, now_ms, asking.claims, supposed.purpose, offers[0].dataset, facts=facts)
    hidden = {
        looked.offer_id: reason
        for looked in await why_not(context, asking, offers[0].dataset)
        for reason in looked.decision.reasons
        if reason.code == NOT_OPEN
    }
    able, told = await context.able(offers[0].dataset), list[Document]()
    for offer in offers:
        policy = _read(orjson.loads(offer.document))
        found = simulation_told(policy, case, simulate(policy, case, able), able, reader)
        found |= {"dataset": offer.dataset, "admitted": asking.admitted}
        if offer.id in hidden:
            found |= {"permitted": False, "hidden": hidden[offer.id]._asdict()}
        told.append(found)
    return told


async def _principal(context: Context, supposed: Supposed) -> Principal:
    """The participant as it would be recognised. Claims of one that is not admitted count for nothing."""
    if supposed.claims is not None:
        return Principal(supposed.participant, msgspec.to_builtins(supposed.claims), "supposed")
    entry = await context.registry.store.participant(supposed.participant)
    admitted = entry is not None and entry.state is Admission.ADMITTED
    claims = msgspec.to_builtins(entry.claims) if entry is not None and admitted else {}
    return Principal(supposed.participant, claims, "supposed", admitted)


async def _offer(context: Context, offer_id: str) -> Offered:
    offer = await context.store.shelf.offer(offer_id)
    if offer is None:
        raise NotFound("terms-unknown", f"{offer_id:.120} is no offer or dataset that we publish, and no agreement of ours")
    return offer


def _read(document: Document) -> Policy:
    try:
        return dsp.read(document)
    except PolicyInvalid as invalid:
        raise CallerError("policy-unreadable", f"{invalid.path or '/'}: {invalid.reason}") from invalid
