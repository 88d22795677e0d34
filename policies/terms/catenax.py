"""Constraints of Catena-X (namespace of September 2025): memberships from verified claims, ends of use by the clock.

The others are agreed between people and kept by law only: they are decided nowhere, and shown as such.
"""

from __future__ import annotations

from typing import Final

from policies.model import Lit, Operator, Ref, Value
from policies.terms.given import claimed, said
from policies.terms.term import Bucket, Given, Point, Request, Scope, Term, Unknown, World
from policies.terms.time import RUNNING, now, since_agreement
from policies.terms.values import CONCEPTS, TEXT_MOST, Duration, Values, by_name, instant, name, read_as, text, whole

CX: Final = "https://w3id.org/catenax/2025/9/policy/"
EXCLUSIVE_USAGE: Final = f"{CX}ExclusiveUsage"
ACTIVE: Final = "active"
_NAMES: Final = frozenset({"catena-x", "catenax"})
_POINTS: Final = (Point.CATALOGUE, Point.NEGOTIATION, Point.TRANSFER)
_UNTIL: Final = frozenset({Operator.EQ, Operator.LT, Operator.LTEQ})
_DAY_MS: Final = 86_400_000

_LEGAL: Final = (
    "UsagePurpose", "ContractReference", "AffiliatesRegion", "AffiliatesBpnl", "ManagedLegalEntityRegion",
    "ManagedLegalEntityBpnl", "DataFrequency", "VersionChanges", "ContractTermination", "ConfidentialInformationMeasures",
    "ConfidentialInformationSharing", "ExclusiveUsage", "Warranty", "WarrantyDefinition", "WarrantyDurationMonths",
    "Liability", "JurisdictionLocation", "JurisdictionLocationReference", "Precedence", "UsageRestriction",
    "DataUsageEndDefinition", "DataProvisioningEndDate", "DataProvisioningEndDurationDays",
)  # fmt: skip


def _short(value: Value) -> str | None:
    """A value of any type: nothing is computed with it."""
    return found if len(found := name(value)) <= TEXT_MOST else None


def _membership(request: Request, world: World) -> Given:
    held = request.claims.get("membership")
    if not isinstance(held, tuple | list):
        return Unknown("have the claim 'membership' about you verified")
    return (Lit(ACTIVE),) if any(str(one).casefold() in _NAMES for one in held) else ()


def _number(request: Request, world: World) -> Given:
    held = request.claims.get("bpn")
    return (Ref(request.assignee), Lit(held)) if isinstance(held, str) else (Ref(request.assignee),)


def _before(given: Values, operator: Operator, right: Values) -> bool | None:
    """Whether the end of use is still to come; ``eq`` names the end."""
    moment, end = (instant(values[0]) if values else None for values in (given, right))
    return None if moment is None or end is None else moment < end


def _within_days(given: Values, operator: Operator, right: Values) -> bool | None:
    """Whether less than so many days have passed since the contract was made."""
    days = whole(right[0]) if right else None
    moments = [instant(value) for value in given]
    if len(moments) != 2 or moments[0] is None or moments[1] is None or days is None:
        return None
    return moments[0] < Duration(0, int(days) * _DAY_MS).after(moments[1])


TERMS: Final = (
    *(
        Term(
            f"{CX}{local}",
            "operand",
            Bucket.GATE,
            said(
                f"Catena-X {local} {{operator}} {{value}}.",
                f"Catena-X {local} {{operator}} {{value}}.",
                f"Catena-X {local} {{operator}} {{value}}.",
            ),
            operators=CONCEPTS,
            scopes=frozenset(Scope),
            points=_POINTS,
            values=read_as(text, "a text"),
            compare=by_name,
            given=given,
            remedy=remedy,
        )
        for local, given, remedy in (
            ("Membership", _membership, "have the membership of Catena-X verified"),
            ("FrameworkAgreement", claimed("membership"), "have the framework agreement verified as a membership"),
            ("BusinessPartnerNumber", _number, None),
            ("BusinessPartnerGroup", claimed("membership"), None),
        )
    ),
    Term(
        f"{CX}DataUsageEndDate",
        "operand",
        Bucket.CLOCK,
        said(
            "Use ends when the time {operator} {value}.",
            "Die Nutzung endet, wenn die Zeit {operator} {value}.",
            "L'usage prend fin quand la date {operator} {value}.",
        ),
        operators=_UNTIL,
        scopes=frozenset(Scope),
        points=(*_POINTS, Point.CLOCK),
        values=read_as(instant, "a moment with its time zone"),
        compare=_before,
        given=now,
        remedy="make a new contract",
        moment=True,
    ),
    Term(
        f"{CX}DataUsageEndDurationDays",
        "operand",
        Bucket.CLOCK,
        said(
            "The days of use since the contract {operator} {value}.",
            "Die Tage der Nutzung seit Vertragsschluss {operator} {value}.",
            "Les jours d'usage depuis le contrat {operator} {value}.",
        ),
        operators=_UNTIL,
        scopes=RUNNING,
        points=(Point.TRANSFER, Point.CLOCK),
        values=read_as(whole, "a whole number of days"),
        compare=_within_days,
        given=since_agreement,
        remedy="make a new contract",
    ),
    *(
        Term(
            f"{CX}{local}",
            "operand",
            Bucket.LEGAL,
            said(
                f"Catena-X {local} {{operator}} {{value}}.",
                f"Catena-X {local} {{operator}} {{value}}.",
                f"Catena-X {local} {{operator}} {{value}}.",
            ),
            operators=frozenset(Operator),
            legal_only=True,
            values=read_as(_short, "a short text"),
        )
        for local in _LEGAL
    ),
)
