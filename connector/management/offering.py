"""What is offered of an asset: the one place where assets, contract definitions and policies become offers in the catalogue.

An offer's id is made of the ids of the contract definition and the asset and of the digest of its terms, so that it stays while
nothing changes. What is being changed is judged strictly: what keeps one of its offers from being made is raised. An offer that
was made before and cannot be made any more is left out, and the log names it. May import flow, store and this package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from connector.flow.described import Described, Us, Wanted, describe
from connector.flow.leaves_standing import of_offer
from connector.flow.offers import OFFERS_MOST, Finding, Proposal, PublicationRefused, apart, refuse_releases
from connector.flow.publish import check_promised, check_readable, row_of, told_of
from connector.flow.sight import visibility
from connector.log.leaf import Draft
from connector.management import addresses
from connector.management.approving import approval_of
from connector.management.model import EDC, Asset, ContractDefinition
from connector.management.rules import Rules
from connector.management.sources import Source
from connector.protocol.errors import CallerError, Invalid, Violation
from connector.protocol.messages import Document
from connector.store.engine import Statement
from connector.store.projection import take_off
from connector.store.rows import Offered, OpenTo
from connector.store.shelf import publish_dataset
from connector.telemetry import logger
from policies.exclusivity import claims_exclusivity

if TYPE_CHECKING:
    from connector.management.service import Management

PROPERTIES_MOST_BYTES: Final = 65_536
"""Longest JSON of an asset's properties: all of them stand in the catalogue."""
OPEN_TO: Final = f"{EDC}openTo"
"""The private property of a contract definition that opens its offers to participants whom nobody has vouched for."""
TITLES: Final = ("http://purl.org/dc/terms/title", f"{EDC}name")
MEDIA_TYPES: Final = ("http://www.w3.org/ns/dcat#mediaType", f"{EDC}contenttype")
_OURS: Final = ("http://www.w3.org/ns/odrl/2/", "https://w3id.org/dspace/")
_NOT_SAID: Final = frozenset(
    f"http://www.w3.org/ns/dcat#{name}" for name in ("distribution", "accessService", "service", "dataset")
)
_KEYWORDS: Final = frozenset({"@id", "@type", "@value", "@language", "@list", "@set"})
log = logger("management")


@dataclass(frozen=True, slots=True)
class Strict:
    """What is judged strictly: offers of these contract definitions, or all. ``look``: the data plane says what they release.
    ``promised``: what an agreement has exclusively counts, too; else such an offer is left out: no fault of the change."""

    definitions: frozenset[str] | None
    look: bool = True
    promised: bool = True

    def of(self, definition_id: str) -> bool:
        """Whether an offer of a contract definition has to be possible."""
        return self.definitions is None or definition_id in self.definitions


ALL: Final = Strict(None, promised=False)
NONE: Final = Strict(frozenset(), look=False)


@dataclass(slots=True)
class Made:
    """The writes that offer something or take it off, and what the contract log is told of it."""

    statements: list[Statement] = field(default_factory=list)
    told: list[Draft] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Offer:
    definition: ContractDefinition
    proposal: Proposal
    access: str


async def offer(
    m: Management, rules: Rules, asset: Asset, source: Source | None, strict: Strict, *, promised: bool = True
) -> Made:
    """What has to be written so that exactly what follows from ``rules`` is offered of an asset. ``promised``: whether there may
    be agreements about it.

    Raises PublicationRefused for what is judged strictly, CallerError for properties that no catalogue can have.
    """
    if source is None:
        return await taken_off(m, asset.id)
    described = _described(m, asset, source)
    offers = await _offers(m, rules, asset, described, strict)
    offers = await _side_by_side(m, asset, offers, strict, promised)
    if not offers:
        check_readable(
            {**described.document, "hasPolicy": [{"@id": "urn:o", "@type": "Offer", "permission": [{"action": "use"}]}]}
        )
        return await taken_off(m, asset.id)
    document: Document = {**described.document, "hasPolicy": [each.proposal.document for each in offers]}
    check_readable(document)
    if source.type == addresses.TABLE and strict.look:
        await _look(m, asset.id, [each for each in offers if strict.of(each.definition.id)])
    widest: OpenTo = "all" if any(open_to(each.definition) == "all" for each in offers) else "admitted"
    row = row_of(m.context, described, document, source.where, widest)
    decides = [visibility(each.proposal.document, open_to(each.definition), each.access) for each in offers]
    shown = [
        Offered(
            each.proposal.document["@id"],
            asset.id,
            position,
            orjson.dumps(each.proposal.document).decode(),
            each.proposal.original,
            by.digest,
            approval_of(each.definition),
            each.definition.id,
        )
        for position, (each, by) in enumerate(zip(offers, decides, strict=True))
    ]
    return Made(publish_dataset(row, shown, decides), await told_of(m.context, row))


async def taken_off(m: Management, asset_id: str) -> Made:
    """What has to be written so that nothing is offered of an asset."""
    now = m.context.now_ms()
    known = await m.context.store.dataset(asset_id) if m.context.logs else None
    told = [] if known is None or known.withdrawn_at is not None else [of_offer(known, "withdrawn", now)]
    return Made(take_off(asset_id, now), told)


def open_to(definition: ContractDefinition) -> OpenTo:
    """To whom the offers of a contract definition are open, before any policy is asked: ``admitted``, unless a private property
    says ``all``. Raises Invalid."""
    said = definition.private_properties.get(OPEN_TO, "admitted")
    if said not in ("admitted", "all"):
        raise Invalid("open-to", [Violation("openTo is admitted or all", "privateProperties.openTo", str(said)[:200])])
    return "all" if said == "all" else "admitted"


def check_properties(properties: Mapping[str, Any]) -> None:
    """Raises CallerError for properties that would say something else in a catalogue than what their owner sees of them."""
    if len(orjson.dumps(properties)) > PROPERTIES_MOST_BYTES:
        raise CallerError("properties-too-long", f"properties take at most {PROPERTIES_MOST_BYTES} bytes")
    for name in _members(properties):
        if name.startswith("@") and name not in _KEYWORDS:
            raise CallerError("property-reserved", f"{name:.40} cannot stand in a property")
        if name.startswith(_OURS) or name in _NOT_SAID:
            raise CallerError("property-reserved", f"{name:.120} is said by the connector itself; leave it out")


def _members(value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield str(name)
            yield from _members(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _members(each)


def _described(m: Management, asset: Asset, source: Source) -> Described:
    check_properties(asset.properties)
    properties = {name: value for name, value in asset.properties.items() if not name.startswith("@") and value is not None}
    wanted = Wanted(
        title=_said(properties, TITLES),
        media_type=_said(properties, MEDIA_TYPES) or None,
        properties={**properties, f"{EDC}id": asset.id},
    )
    us = Us(m.context.participant_id, m.context.callback_address)
    return describe(us, asset.id, source.where, wanted, source.able)[0]


def _said(properties: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((value for name in names if isinstance(value := properties.get(name), str)), "")


async def _offers(m: Management, rules: Rules, asset: Asset, described: Described, strict: Strict) -> list[_Offer]:
    """The offers that can be made at all, each by itself."""
    made: list[_Offer] = []
    for each in rules.selecting(asset):
        try:
            access = await rules.access(each.access_policy)
            template = await rules.template(each.contract_policy, described.capabilities)
        except PublicationRefused as refused:
            if strict.of(each.id):
                raise _about(refused, asset, each) from refused
            _left_out(asset, each, refused)
            continue
        made.append(_Offer(each, template.offered(each.id, asset.id), access))
    return made


async def _side_by_side(m: Management, asset: Asset, offers: list[_Offer], strict: Strict, promised: bool) -> list[_Offer]:
    """The offers that can stand beside each other, and beside what is promised exclusively, in their order."""
    kept: list[_Offer] = []
    # What is being changed gives way to what stands already.
    for each in sorted(offers, key=lambda one: strict.of(one.definition.id)):
        stands = strict.of(each.definition.id)
        try:
            _check_apart([*kept, each])
            stands = stands and strict.promised
            if promised:
                await check_promised(m.context, asset.id, [each.proposal])
        except PublicationRefused as refused:
            if stands:
                raise _about(refused, asset, each.definition) from refused
            _left_out(asset, each.definition, refused)
        else:
            kept.append(each)
    standing = {each.definition.id for each in kept}
    return [each for each in offers if each.definition.id in standing]


def _check_apart(offers: Sequence[_Offer]) -> None:
    if len(offers) > OFFERS_MOST:
        raise PublicationRefused(
            "offers-too-many", [Finding("offers-too-many", "", f"at most {OFFERS_MOST} offers of one asset")]
        )
    if any(claims_exclusivity(each.proposal.policy) for each in offers):
        apart([each.proposal for each in offers])


async def _look(m: Management, asset_id: str, offers: Sequence[_Offer]) -> None:
    """Raises PublicationRefused if an offer would release what it must not."""
    if offers:
        refuse_releases(await m.plane.releases(asset_id, [each.proposal.document for each in offers]))


def _about(refused: PublicationRefused, asset: Asset, definition: ContractDefinition) -> PublicationRefused:
    """The same, saying of which asset and contract definition."""
    where = f"asset {asset.id:.80} under contract definition {definition.id:.80}"
    return PublicationRefused(refused.code, [replace(each, sentence=f"{where}: {each.sentence}") for each in refused.findings])


def _left_out(asset: Asset, definition: ContractDefinition, refused: PublicationRefused) -> None:
    log.warning("an asset is not offered: its offer cannot be made", asset=asset.id, definition=definition.id, why=refused.reason)
