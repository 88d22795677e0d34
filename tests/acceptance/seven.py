"""The seven offers, and what has to come of each: who gets it, who does not and why, how each term is kept, who must keep it.

Written by hand from the offers themselves, so that it is held against the code and not made by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from policies import odrl
from policies.model import CARNET, DPV, ODRL, Asset, Policy
from policies.simulation import Case
from policies.terms.term import Bucket, Scope
from tests.policies.drawn import offer_document

NOW_MS: Final = 1_767_225_600_000  # 2026-01-01T00:00:00Z
BUYER: Final = "did:web:buyer.example"
_BUCKETS: Final = {
    "gates": Bucket.GATE,
    "shape": Bucket.SHAPE,
    "meters": Bucket.METER,
    "clocks": Bucket.CLOCK,
    "duties": Bucket.DUTY,
    "legal": Bucket.LEGAL,
}


def full(name: str) -> str:
    """`vdx:` and `dpv:` written out; a plain name is ODRL's."""
    prefix, colon, rest = name.partition(":")
    return {"vdx": CARNET, "dpv": DPV}[prefix] + rest if colon else ODRL + name


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who asks: what is verified about it, what for, and when; `facts` are those of this buyer, by operand."""

    purpose: str | None = None
    claims: Mapping[str, Any] = field(default_factory=lambda: {"kind": "company"})
    facts: Mapping[str, Any] = field(default_factory=dict)
    now_ms: int = NOW_MS

    def case(self) -> Case:
        """The same as a supposed case."""
        facts = {full(name): fact for name, fact in self.facts.items()}
        return Case(BUYER, self.now_ms, self.claims, self.purpose and full(self.purpose), facts=facts)


@dataclass(frozen=True, slots=True)
class Offered:
    """One offer. `kept`: the terms in each bucket, in the order of the policy.

    `declared`: what is kept by a data plane only, so that publication is refused until one declares it. `refused_at` is the first
    step at which the other buyer is refused, and `because` says why: path -> code.
    """

    number: str
    target: str
    kept: Mapping[str, str]
    permitted: Buyer
    refused: Buyer
    refused_at: Scope
    because: Mapping[str, str]
    declared: tuple[str, ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        """The offer as its file has it."""
        return offer_document(self.number)

    @property
    def policy(self) -> Policy:
        """The offer, read."""
        return odrl.read(self.document)

    @property
    def asset(self) -> Asset:
        """What it is about."""
        return Asset(self.target)

    @property
    def enforced(self) -> frozenset[str]:
        """IRIs of `declared`."""
        return frozenset(full(name) for name in self.declared)

    def buckets(self) -> dict[Bucket, list[str]]:
        """`kept` by bucket, with IRIs; a bucket that is not named is empty."""
        return {bucket: [full(name) for name in self.kept.get(member, "").split()] for member, bucket in _BUCKETS.items()}


OFFERS: Final = (
    Offered(
        "1",
        "urn:asset:mileage",
        {
            "gates": "read purpose",
            "shape": "vdx:legalBasis",
            "meters": "vdx:requestsPerVehicleDay",
            "duties": "compensate delete obtainConsent",
            "legal": "sell vdx:reidentify",
        },
        Buyer("vdx:PayAsYouDrive"),
        Buyer("dpv:Marketing"),
        Scope.NEGOTIATION,
        {"/permission/0/constraint/0": "not-satisfied"},
        ("vdx:legalBasis", "vdx:requestsPerVehicleDay", "obtainConsent"),
    ),
    Offered(
        "2",
        "urn:asset:dtc",
        {
            "gates": "read purpose read purpose",
            "meters": "count count count",
            "duties": "compensate compensate",
            "legal": "sell",
        },
        Buyer("dpv:RepairImpairments", facts={"count": 10_000}),
        Buyer("dpv:RepairImpairments", facts={"count": 1_000_000}),
        Scope.TRANSFER,
        {"/permission/0/constraint/1": "not-satisfied"},
        ("count",),
    ),
    Offered(
        "3",
        "urn:asset:traffic-insight",
        {
            "gates": "use vdx:exclusive",
            "shape": "spatial",
            "clocks": "dateTime",
            "duties": "compensate",
            "legal": "sell",
        },
        Buyer(facts={"vdx:exclusive": True}),
        Buyer(facts={"vdx:exclusive": False}),
        Scope.NEGOTIATION,
        {"/permission/0/constraint/1": "not-satisfied"},
        ("spatial",),
    ),
    Offered(
        "4",
        "urn:asset:flow-h3",
        {
            "gates": "use vdx:consumerKind purpose use vdx:consumerKind",
            "duties": "attribute compensate attribute",
            "legal": "sell vdx:reidentify",
        },
        Buyer("vdx:MobilityPlanning", {"kind": "public-body"}),
        Buyer("dpv:Marketing", {"kind": "public-body"}),
        Scope.NEGOTIATION,
        {"/permission/0/constraint/1": "not-satisfied"},
    ),
    Offered(
        "5",
        "urn:asset:driving-score",
        {
            "gates": "use purpose",
            "shape": "vdx:detail",
            "meters": "timeInterval",
            "duties": "compensate inform",
            "legal": "derive sell vdx:reidentify",
        },
        Buyer("vdx:UsageBasedInsurance"),
        # A delivery every month, and the last one was a minute ago.
        Buyer("vdx:UsageBasedInsurance", facts={"timeInterval": NOW_MS - 60_000}),
        Scope.CATALOGUE,
        {"/permission/0/constraint/2": "not-satisfied"},
        ("vdx:detail", "timeInterval"),
    ),
    Offered(
        "6",
        "urn:asset:mobility-insight",
        {
            "gates": "use purpose",
            "shape": "vdx:minGroupSize vdx:spatialResolution vdx:temporalResolution delayPeriod",
            "duties": "compensate",
            "legal": "vdx:reidentify",
        },
        Buyer("dpv:SellInsightsFromData"),
        Buyer(None),
        Scope.NEGOTIATION,
        {"/permission/0/constraint/0": "not-known"},
        ("vdx:minGroupSize", "vdx:spatialResolution", "vdx:temporalResolution", "delayPeriod"),
    ),
    Offered(
        "7",
        "urn:asset:my-car-raw",
        {
            "gates": "use vdx:userRequest vdx:consumerKind purpose",
            "duties": "compensate delete",
            "legal": "derive distribute vdx:profile",
        },
        Buyer("vdx:AgreedWithUser", facts={"vdx:userRequest": ["urn:request:42"]}),
        Buyer("vdx:AgreedWithUser", {"kind": "company", "gatekeeper": True}, {"vdx:userRequest": ["urn:request:42"]}),
        Scope.CATALOGUE,
        {"/permission/0/constraint/1": "not-satisfied"},
        ("vdx:userRequest",),
    ),
)
