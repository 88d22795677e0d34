"""The statement of an agreement: what is owed for what was used, from receipts signed by both and the meters of the data plane.

The provider reads its meters; the consumer has none of the agreement's, and counts what the provider has countersigned. What was
used without a receipt that both have signed is listed beside the lines, as its amount may be disputed. Nothing is paid here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Literal
from urllib.parse import quote

import orjson

from connector.flow.context import Context
from connector.flow.envelope import instant as told
from connector.identity.gate import base64url
from connector.protocol.errors import CallerError, NotFound
from connector.protocol.messages import Document
from connector.protocol.states import Role
from connector.store.evidence import EvidenceStore, Receipt
from connector.store.rows import Agreement
from policies import dsp, pricing
from policies.model import Lit, Policy
from policies.terms.values import instant

PAGE: Final = 1000
MAX_RECEIPTS: Final = 100_000
Marked = Literal["countersigned", "disputed", "unverified", "missing"]


@dataclass(frozen=True, slots=True)
class Use:
    """One delivery that was used: when its first byte left (ms), what it was metered with, and how its receipt stands."""

    transfer: str
    at_ms: int
    calls: int
    rows: int
    bytes: int
    vehicles: int
    receipt: Marked
    permission: int | None = None
    """Index of the one that it went under; None where that is not known."""


Span = tuple[int, int]
"""Begin and end of an interval, half-open (ms)."""


@dataclass(frozen=True, slots=True)
class Account:
    """All that a statement is made of. ``role`` is ours; ``receipts`` by our own transfer; ``meters`` is what our data plane has
    counted, None for a consumer; ``made`` and ``now`` in ms; ``distinct``: vehicles by interval."""

    agreement: str
    counterparty: str
    role: str
    policy: Policy
    receipts: Mapping[str, Receipt]
    meters: Document | None
    made: int
    now: int
    distinct: Mapping[Span, int] = field(default_factory=lambda: MappingProxyType({}))


async def statement(context: Context, agreement_id: str, counterparty: str | None = None) -> Document:
    """What is owed under an agreement so far. Raises NotFound, and Unavailable where the data plane has to be asked and is
    away."""
    found = [each for each in await context.store.agreements_by_id(agreement_id) if counterparty in (None, each.counterparty)]
    if not found:
        raise NotFound("agreement-unknown", "there is no such agreement")
    return statement_of(await account(context, found[0]))


async def account(context: Context, agreement: Agreement) -> Account:
    """What there is to reckon with now. Raises Unavailable where the data plane has to be asked and is away."""
    now, document = context.now_ms(), orjson.loads(agreement.document)
    policy: Policy = dsp.read(document)
    receipts = await _receipts(context, agreement)
    meters = await _meters(context, agreement) if agreement.role == Role.PROVIDER.value else None
    made = made_at(document, agreement.created_at)
    known = Account(agreement.id, agreement.counterparty, agreement.role, policy, receipts, meters, made, now)
    if meters is None:
        return known
    return replace(known, distinct=await _distinct(context, agreement, policy, uses_in(known), spans(policy, made, now)))


def made_at(agreement: Document, otherwise: int) -> int:
    """When an agreement was made (ms), as it says itself."""
    return instant(Lit(str(agreement.get("timestamp")))) or otherwise


def uses_in(known: Account) -> list[Use]:
    """The deliveries of an account. No I/O."""
    return uses_of(known.receipts.values()) if known.meters is None else metered(known.meters, known.receipts)


def statement_of(known: Account) -> Document:
    """What is owed by an account. No I/O."""
    uses, distinct = uses_in(known), known.distinct
    found_readings = readings(known.policy, uses, known.made, known.now, distinct)
    lines = pricing.statement(known.policy, found_readings, permissions_of(uses))
    return {
        "agreement": known.agreement,
        "counterparty": known.counterparty,
        "role": known.role,
        "at": told(known.now),
        "lines": [_line(each, uses, distinct) for each in lines],
        "totals": {currency: str(total) for currency, total in sorted(pricing.totals(lines).items())},
        "deliveries": len({each.transfer for each in uses}),
        "unsettled": [{"transfer": transfer, "receipt": receipt} for transfer, receipt in _unsettled(uses)],
    }


async def _receipts(context: Context, agreement: Agreement) -> dict[str, Receipt]:
    """All receipts of an agreement by our own transfer."""
    store, after = EvidenceStore(context.store.engine), (0, "")
    found: dict[str, Receipt] = {}
    while len(found) < MAX_RECEIPTS:
        page = await store.receipts(after=after, limit=PAGE, agreement=agreement.id, counterparty=agreement.counterparty)
        found |= {each.transfer: each for each in page if each.role == agreement.role}
        if len(page) < PAGE:
            break
        after = (page[-1].created_at, page[-1].transfer)
    return found


async def _meters(context: Context, agreement: Agreement) -> Document:
    """What our data plane has counted."""
    asked = f"agreement={quote(agreement.id, safe='')}&counterparty={quote(agreement.counterparty, safe='')}"
    try:
        return await context.seals.ask("GET", f"/carnet/meters?{asked}", None)
    except CallerError:
        # A data plane of another make that counts nothing: what is left are the receipts.
        return {}


def metered(meters: Document, receipts: Mapping[str, Receipt]) -> list[Use]:
    """The deliveries that the data plane has metered, each with how its receipt stands. No I/O."""
    found = []
    for each in meters.get("deliveries", []):
        at, read = each.get("firstByteAt"), each.get("meters") or {}
        if at is not None:
            receipt = receipts.get(each["transfer"])
            use = _use(each["transfer"], int(at), read, _standing(receipt))
            found.append(replace(use, permission=_index(each.get("permission"))))
    return found


def uses_of(receipts: Iterable[Receipt]) -> list[Use]:
    """What a consumer knows: what it has signed, with the provider's readings where that has answered. No I/O."""
    found = []
    for receipt in receipts:
        content, record = orjson.loads(receipt.content), _answered(receipt)
        own = {"rows": content.get("rows"), "bytes": content.get("bytes")}
        read = record.get("meters")
        numbers = {"calls": 1, **own, **(read if isinstance(read, dict) else {})}
        use = _use(receipt.transfer, receipt.created_at, numbers, _standing(receipt))
        found.append(replace(use, permission=_index(record.get("permission"))))
    return found


def _answered(receipt: Receipt) -> dict[str, Any]:
    """The provider's record in a countersigned answer, whose signature was verified."""
    if receipt.state != "countersigned" or not receipt.answer:
        return {}
    payload = receipt.answer.split(".")[1]
    record = orjson.loads(base64url(payload)).get("record")
    return record if isinstance(record, dict) else {}


def _index(said: Any) -> int | None:
    return said if isinstance(said, int) and not isinstance(said, bool) else None


def _use(transfer: str, at_ms: int, read: Mapping[str, Any], receipt: Marked) -> Use:
    numbers = {name: read.get(name) for name in ("calls", "rows", "bytes", "vehicles")}
    whole = {name: value if isinstance(value, int) and value >= 0 else 0 for name, value in numbers.items()}
    return Use(transfer=transfer, at_ms=at_ms, receipt=receipt, **whole)


def _standing(receipt: Receipt | None) -> Marked:
    if receipt is None or receipt.state == "invalid":
        return "missing"
    if receipt.state in ("countersigned", "disputed"):
        return "countersigned" if receipt.state == "countersigned" else "disputed"
    return "unverified"


def permissions_of(uses: Iterable[Use]) -> frozenset[int] | None:
    """The permissions under which the data were used; None, so all of them, where nothing was used or it is not known."""
    found = frozenset(use.permission for use in uses)
    known = frozenset(each for each in found if each is not None)
    return known if known and known == found else None


def spans(policy: Policy, made: int, now: int) -> Iterator[Span]:
    """The whole time of an agreement, then every interval that its prices count in. No I/O."""
    yield made, now
    for interval in sorted(pricing.intervals(policy)):
        yield from pricing.periods(interval, made, now)


async def _distinct(
    context: Context, agreement: Agreement, policy: Policy, uses: list[Use], wanted: Iterable[Span]
) -> dict[Span, int]:
    """The distinct vehicles of each interval in which there are several deliveries, if the policy counts vehicles; the data
    plane says how many of them are the same."""
    found: dict[Span, int] = {}
    if not pricing.counts(policy, pricing.VEHICLE):
        return found
    named = f"agreement={quote(agreement.id, safe='')}&counterparty={quote(agreement.counterparty, safe='')}"
    for begin, end in wanted:
        if sum(begin <= use.at_ms < end and use.vehicles > 0 for use in uses) > 1 and (begin, end) not in found:
            answer = await context.seals.ask("GET", f"/carnet/meters?{named}&from={begin}&to={end}", None)
            if isinstance(answer.get("vehicles"), int):
                found[begin, end] = answer["vehicles"]
    return found


def readings(
    policy: Policy, uses: list[Use], made: int, now: int, distinct: Mapping[Span, int] = MappingProxyType({})
) -> pricing.Readings:
    """The uses in all and by each interval that the policy counts in. No I/O.

    ``distinct``: vehicles by interval; where it does not say, those of several deliveries are counted in each.
    """

    def used(begin: int, end: int) -> pricing.Used:
        summed = _sum(uses, begin, end)
        return replace(summed, vehicles=distinct.get((begin, end), summed.vehicles))

    found = {
        interval: tuple(used(begin, end) for begin, end in pricing.periods(interval, made, now))
        for interval in pricing.intervals(policy)
    }
    return pricing.Readings(used(made, now), found)


def _sum(uses: list[Use], begin: int, end: int) -> pricing.Used:
    inside = [use for use in uses if begin <= use.at_ms < end]
    return pricing.Used(
        begin,
        end,
        vehicles=sum(use.vehicles for use in inside),
        calls=sum(use.calls for use in inside),
        rows=sum(use.rows for use in inside),
        bytes=sum(use.bytes for use in inside),
    )


def _unsettled(uses: list[Use]) -> list[tuple[str, str]]:
    """Each transfer once, although it may have been used on several days."""
    return list(dict.fromkeys((use.transfer, use.receipt) for use in uses if use.receipt != "countersigned"))


def _line(line: pricing.Line, uses: list[Use], distinct: Mapping[Span, int]) -> Document:
    """A line as JSON, with the receipts of its interval that are missing or disputed."""
    inside = [use for use in uses if line.begin_ms <= use.at_ms < line.end_ms]
    counted = (line.begin_ms, line.end_ms) in distinct
    several = line.unit == pricing.VEHICLE and sum(use.vehicles > 0 for use in inside) > 1 and not counted
    return {
        "path": line.path,
        "from": told(line.begin_ms),
        "to": told(line.end_ms),
        "unit": line.unit,
        "quantity": str(line.quantity),
        "price": None if line.price is None else str(line.price),
        "amount": None if line.amount is None else str(line.amount),
        "currency": line.currency,
        "bound": line.bound,
        "basis": line.basis,
        "note": line.note or ("vehicles of several deliveries; at most so many are distinct" if several else None),
        "receipts": {
            mark: len({use.transfer for use in inside if use.receipt == mark})
            for mark in ("countersigned", "disputed", "unverified", "missing")
        },
        "settled": all(use.receipt == "countersigned" for use in inside),
    }
