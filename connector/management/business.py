"""What clients of the management interface do with others: read catalogues, negotiate, look at agreements, transfer, fetch.

Thin use cases over ``flow``: they know neither HTTP nor JSON-LD, and raise the connector's errors. What failed at the other side
is ``RemoteFailed``, so that a caller can tell whose fault it was. Lists come from the store by QuerySpec.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

from catalog.compaction import PREFIXES
from connector.access.caller import Caller
from connector.flow import acts, begin
from connector.flow.browse import PeerRefused
from connector.flow.references import Reference, References
from connector.management.leaves import Leaf, leaves, meets
from connector.management.model import EDC, Criterion, QuerySpec
from connector.management.odrl_forms import OfferedTerms
from connector.management.prefixed import LEGACY_PROTOCOL
from connector.management.service import Management
from connector.protocol.errors import CallerError, CarnetError, Conflict, NotFound, PeerError, Unavailable
from connector.protocol.messages import PULL, Document
from connector.protocol.record import Process
from connector.protocol.states import Kind, State
from connector.store.engine import LostRace
from connector.store.forgetting import forget_process
from connector.store.queries import PROTOCOL, QueryStore, drop_reference
from connector.store.rows import Agreement

PROTOCOLS: Final = frozenset({PROTOCOL, LEGACY_PROTOCOL})
"""How clients call the one protocol that is spoken here; without a version they mean the connector's own."""
_REMOTE: Final = frozenset(
    {
        *("peer-unreachable", "peer-document-unavailable", "catalog-too-slow"),
        *("token-too-slow", "metadata-unavailable", "issuer-unreachable"),
    }
)
"""What we lack then is the other side's to give."""
Result = TypeVar("Result")


class RemoteFailed(CarnetError):
    """The other side could not be reached, refused, or answered what cannot be read."""

    status = 502


@dataclass(frozen=True, slots=True)
class Business:
    """The surroundings of these use cases."""

    m: Management
    references: References
    queries: QueryStore


@dataclass(frozen=True, slots=True)
class Counterparty:
    """Whom it is about: the id, and its DSP base address if the caller named one."""

    id: str
    address: str | None = None


def check_protocol(protocol: str | None) -> None:
    """Raises CallerError unless it is the protocol that is spoken here, under one of its names."""
    if protocol is not None and protocol not in PROTOCOLS:
        raise CallerError("protocol-unknown", f"the protocol here is {PROTOCOL}")


# -- catalogues -----------------------------------------------------------------------------------------------------------


async def catalog(b: Business, of: Counterparty, spec: QuerySpec) -> list[Document]:
    """The datasets that a peer shows us and that meet the criteria; a page of them, in the peer's order unless they are sorted.

    A criterion names members of the datasets as the protocol spells them, or the id. Raises RemoteFailed, CallerError.
    """
    one = _one_id(spec)
    if one is not None:
        try:
            return [await dataset(b, of, one)] if spec.offset == 0 else []
        except NotFound:
            return []
    most = None if spec.criteria or spec.sort_path else spec.offset + spec.limit
    found = await _remote(b.m.browser.catalog(of.id, await _address(b, of), most=most))
    chosen = [each for each in found if all(_meets(criterion, each) for criterion in spec.criteria)]
    if spec.sort_path:
        chosen.sort(key=lambda each: _rank(spec, each), reverse=spec.descending)
    return chosen[spec.offset : spec.offset + spec.limit]


async def dataset(b: Business, of: Counterparty, dataset_id: str) -> Document:
    """One dataset with its offers. Raises NotFound if the peer shows us none of this id, RemoteFailed."""
    try:
        return await b.m.browser.dataset(of.id, dataset_id, await _address(b, of))
    except PeerError as error:
        if isinstance(error, PeerRefused) and error.answered == 404:
            raise NotFound("dataset-unknown", f"the participant shows no dataset {dataset_id:.80}") from error
        raise RemoteFailed(error.code, error.reason) from error
    except Unavailable as error:
        raise _away(error) from error


async def _address(b: Business, of: Counterparty) -> str | None:
    """The address that the caller named. Where he left the path of the protocol's version out, the one that is known: None."""
    directory, named = b.m.context.directory, of.address
    if named is None or await _remote(directory.owns(of.id, named)):
        return named
    known = await _remote(directory.address(of.id))
    return None if known.startswith(named.rstrip("/") + "/") else named


async def _remote(work: Awaitable[Result]) -> Result:
    try:
        return await work
    except PeerError as error:
        raise RemoteFailed(error.code, error.reason) from error
    except Unavailable as error:
        raise _away(error) from error


def _away(error: Unavailable) -> CarnetError:
    return RemoteFailed(error.code, error.reason) if error.code in _REMOTE else error


def _one_id(spec: QuerySpec) -> str | None:
    """The id that a query asks for, if that is all it asks for: then one dataset is read instead of a catalogue."""
    if len(spec.criteria) != 1 or spec.criteria[0].operator != "=":
        return None
    criterion = spec.criteria[0]
    return str(criterion.right) if criterion.path in (("id",), ("@id",), (f"{EDC}id",)) else None


def _meets(criterion: Criterion, document: Document) -> bool:
    """Whether a dataset meets a criterion. Members have the protocol's names, or IRIs; prefixes of the protocol count as such."""
    return meets(criterion, _at(criterion.path, document))


def _rank(spec: QuerySpec, document: Document) -> str:
    """By what a dataset is sorted; those that say nothing of it stand together, in the order that they have."""
    return next((leaf.rank for leaf in _at(spec.sort_path, document)), "")


def _at(path: tuple[str, ...], document: Document) -> list[Leaf]:
    wanted = tuple(_spelled(each) for each in path)
    named = {**document, "id": document.get("@id")}
    return [leaf for leaf in leaves(named) if tuple(_spelled(each) for each in leaf.path) == wanted]


def _spelled(name: str) -> str:
    prefix, _, rest = name.partition(":")
    whole = PREFIXES[prefix] + rest if prefix in PREFIXES else name
    return whole.removeprefix(EDC)


# -- negotiations ---------------------------------------------------------------------------------------------------------


async def negotiate(b: Business, of: Counterparty, offer: OfferedTerms, by: Caller, *, ensuing: bool = False) -> Process:
    """Ask for a contract. An offer without rules means: as it stands in the provider's catalogue. ``ensuing``: a transfer without
    sink begins by itself as soon as the contract is there.

    Raises CallerError, RemoteFailed, PolicyDenied.
    """
    if not offer.target:
        raise CallerError("target-missing", "policy.target names the dataset that the offer is about")
    if offer.assigner not in (None, of.id):
        raise CallerError("assigner-other", "policy.assigner is the counterparty, who makes the offer")
    rules = offer.rules or await _published(b, of, offer)
    return await _remote(
        begin.request_contract(
            b.m.context,
            counterparty=of.id,
            dataset=offer.target,
            offer={"@id": offer.id, **rules},
            address=await _address(b, of),
            by=by,
            ensuing=PULL if ensuing else None,
        )
    )


async def _published(b: Business, of: Counterparty, offer: OfferedTerms) -> Document:
    """The rules of an offer in the provider's catalogue, which may give it another id every time it is read."""
    try:
        document = await dataset(b, of, offer.target or "")
    except NotFound as error:
        raise CallerError("target-unknown", error.reason) from error
    offers = [each for each in document.get("hasPolicy", []) if isinstance(each, dict)]
    same = [each for each in offers if each.get("@id") == offer.id] or [
        each for each in offers if _source(each.get("@id")) is not None and _source(each.get("@id")) == _source(offer.id)
    ]
    if len(same) != 1:
        raise CallerError("offer-unknown", "the dataset has no such offer (any more); read the catalogue again")
    return {name: value for name, value in same[0].items() if name in ("permission", "prohibition", "obligation", "profile")}


def _source(offer_id: object) -> tuple[str, str] | None:
    """Contract definition and asset of an offer id as EDC makes them; None for any other."""
    parts = str(offer_id).split(":")
    if len(parts) != 3:
        return None
    try:
        definition, asset = (base64.b64decode(part, validate=True).decode() for part in parts[:2])
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return definition, asset


async def process(b: Business, kind: Kind, process_id: str) -> Process:
    """A negotiation or transfer. Raises NotFound, also for one of the other kind."""
    found = await acts.load(b.m.context, process_id)
    if found.kind is not kind:
        raise NotFound("process-unknown", f"there is no {kind.value} {process_id:.80} here")
    return found


async def terminate(b: Business, kind: Kind, process_id: str, reason: str | None, by: Caller) -> None:
    """End it; the counterparty reads the reason. Raises NotFound, Conflict if it is over."""
    await process(b, kind, process_id)
    await acts.terminate(b.m.context, process_id, "terminated", [reason] if reason else None, by=by)


async def forget_negotiation(b: Business, negotiation_id: str) -> None:
    """Delete a negotiation that was terminated without an agreement. Raises NotFound, Conflict."""
    found = await process(b, Kind.NEGOTIATION, negotiation_id)
    if found.state is not State.TERMINATED or found.awaiting is not None:
        raise Conflict("negotiation-open", f"the negotiation is {found.state.on_wire}; only a terminated one can be deleted")
    if await b.m.context.store.agreement_of(negotiation_id) is not None:
        raise Conflict("negotiation-agreed", "the negotiation has brought an agreement; it is kept as evidence")
    try:
        await b.m.context.commit(forget_process(found))
    except LostRace as error:
        raise Conflict("changed-meanwhile", "the negotiation has changed meanwhile; look again") from error


# -- agreements -----------------------------------------------------------------------------------------------------------


async def agreement(b: Business, agreement_id: str) -> Agreement:
    """An agreement by id. Raises NotFound."""
    found = await b.m.context.store.agreements_by_id(agreement_id)
    if not found:
        raise NotFound("agreement-unknown", f"there is no agreement {agreement_id:.80} here")
    return found[0]


async def agreement_of(b: Business, negotiation_id: str) -> Agreement:
    """The agreement that a negotiation brought. Raises NotFound."""
    await process(b, Kind.NEGOTIATION, negotiation_id)
    found = await b.m.context.store.agreement_of(negotiation_id)
    if found is None:
        raise NotFound("agreement-none", "the negotiation has brought no agreement yet")
    return found


# -- transfers ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TransferWish:
    """A transfer as a client asks for it. ``sink``: a file name, if our data plane is to fetch the data. ``private``: what the
    client notes about it, under whole IRIs."""

    contract: str
    format: str
    counterparty: str | None = None
    address: str | None = None
    sink: str | None = None
    private: Mapping[str, Any] = field(default_factory=dict)


async def transfer(b: Business, wish: TransferWish, by: Caller) -> Process:
    """Ask for data under an agreement. Raises CallerError, NotFound, Conflict, PolicyDenied."""
    if wish.format != PULL:
        raise CallerError("format-unsupported", f"data come by {PULL} here; a provider cannot push them")
    address = wish.address
    if address is not None:
        known = await begin.own_agreement(b.m.context, wish.contract, wish.counterparty)
        address = await _address(b, Counterparty(known.counterparty, address))
    return await begin.request_transfer(
        b.m.context,
        agreement_id=wish.contract,
        counterparty=wish.counterparty,
        transfer_format=wish.format,
        sink=wish.sink,
        private=wish.private,
        address=address,
        by=by,
    )


async def move(b: Business, transfer_id: str, act: Literal["suspend", "resume"], reason: str | None, by: Caller) -> None:
    """Suspend a transfer, or go on with it. Raises NotFound, Conflict."""
    await process(b, Kind.TRANSFER, transfer_id)
    if act == "suspend":
        await acts.suspend(b.m.context, transfer_id, "suspended", [reason] if reason else None, by=by)
    else:
        await acts.start(b.m.context, transfer_id, by=by)


async def forget_reference(b: Business, transfer_id: str) -> None:
    """Put a data reference away: it is not listed and not handed out any more; the transfer goes on. Raises NotFound."""
    await _held(b, transfer_id)
    try:
        await b.m.context.commit([drop_reference(transfer_id, b.m.context.now_ms())])
    except LostRace as error:
        raise _gone(transfer_id) from error


async def reference(b: Business, transfer_id: str, *, refresh: bool = False, now: bool = False) -> Reference:
    """Where a transfer's data are fetched, with a token. Raises NotFound, and as ``References.of`` does."""
    await _held(b, transfer_id)
    return await b.references.of(transfer_id, refresh=refresh, now=now)


async def _held(b: Business, transfer_id: str) -> None:
    if await b.queries.reference(transfer_id) is None:
        raise _gone(transfer_id)


def _gone(transfer_id: str) -> NotFound:
    return NotFound(
        "reference-unknown", f"{transfer_id:.80} has no data reference: it does not run, has a sink, or it was deleted"
    )
