"""For each term that the connector enforces, a constraint that a certain buyer does not satisfy; and the tests of each point.

The buyer (`BUYER`, `CLAIMS`) has the wrong claims for everything. What has to do with time is in force at `BEGIN_MS` and a day
longer; `LATER_MS` is after that. The table says which test shows that a term is enforced where the registry says that it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from policies import dsp
from policies.model import CARNET, DPV, ODRL, Action, Constraint, Lit, Permission, Policy, Prohibition, Ref, Value
from policies.terms.actions import READ, USE
from policies.terms.catenax import CX
from policies.terms.exclusivity import EXCLUSIVE
from policies.terms.foreign import EDC, IDSC
from policies.terms.registry import REGISTRY
from policies.terms.term import Point

BEGIN_MS: Final = 1_700_000_000_000  # 2023-11-14T22:13:20Z
DAY_MS: Final = 86_400_000
LATER_MS: Final = BEGIN_MS + 2 * DAY_MS
BUYER: Final = "did:web:consumer"
CLAIMS: Final[Mapping[str, Any]] = {"kind": "company", "sector": "retail", "membership": ("MDS",), "country": "US"}
OFFER: Final = "urn:offer:weighed"

_SOMEBODY: Final = "did:web:somebody.example"
_TOMORROW: Final = "2023-11-15T22:13:20Z"
_PREFIXES: Final = {"vdx": CARNET, "dpv": DPV, "cx": CX, "edc": EDC, "idsc": IDSC, "": ""}

CONNECTOR: Final = frozenset(point for point in Point if not point.of_data_plane)
"""The points that are the connector's own."""


class Row(NamedTuple):
    """A constraint that the buyer does not satisfy, in short names: `:` before a name that is no IRI, none for ODRL's."""

    left: str
    operator: str
    right: str | tuple[str, ...]

    @property
    def iri(self) -> str:
        """The operand."""
        return _full(self.left)

    def constraint(self) -> Constraint:
        """In full."""
        values = self.right if isinstance(self.right, tuple) else (self.right,)
        return Constraint(self.iri, f"{ODRL}{self.operator}", tuple(_value(one) for one in values))


def _full(name: str) -> str:
    prefix, colon, rest = name.partition(":")
    return _PREFIXES[prefix] + rest if colon else ODRL + name


def _value(written: str) -> Value:
    prefix = written.partition(":")[0]
    if prefix in ("vdx", "dpv"):
        return Ref(_full(written))
    return Ref(written) if prefix in ("did", "urn", "http") else Lit(written)


ROWS: Final = (
    Row("vdx:consumerKind", "eq", "vdx:PublicBody"),
    Row("vdx:membership", "eq", "Catena-X"),
    Row("vdx:participant", "eq", _SOMEBODY),
    Row("assignee", "eq", _SOMEBODY),
    Row("vdx:recipientCountry", "isPartOf", "vdx:EuropeanUnion"),
    Row("industry", "eq", "insurance"),
    Row("recipient", "eq", _SOMEBODY),
    # Not narrowed to one of the two.
    Row("purpose", "isAnyOf", ("vdx:Insurance", "dpv:Marketing")),
    Row("dateTime", "lt", _TOMORROW),
    Row("elapsedTime", "lteq", "P1D"),
    # Of which nobody recorded anything.
    Row("event", "lt", "vdx:PurposeEnded"),
    Row("vdx:userRequest", "eq", "urn:request:42"),
    Row("edc:inForceDate", "lteq", _TOMORROW),
    *(
        row
        for prefix in ("", "edc", "idsc")
        for row in (
            Row(f"{prefix}:POLICY_EVALUATION_TIME", "lt", _TOMORROW),
            Row(f"{prefix}:REFERRING_CONNECTOR", "eq", _SOMEBODY),
        )
    ),
    Row("cx:Membership", "eq", "active"),
    Row("cx:FrameworkAgreement", "eq", "DataExchangeGovernance:1.0"),
    Row("cx:BusinessPartnerNumber", "eq", "BPNL000000000001"),
    Row("cx:BusinessPartnerGroup", "eq", "gold"),
    Row("cx:DataUsageEndDate", "eq", _TOMORROW),
    Row("cx:DataUsageEndDurationDays", "eq", "1"),
)

POLICIES: Final[Mapping[str, Policy]] = {
    **{row.iri: Policy("Offer", OFFER, (Permission(Action(USE), (row.constraint(),)),)) for row in ROWS},
    # An action is enforced if what prohibits it, prohibits it.
    **{iri: Policy("Offer", OFFER, (Permission(Action(USE)),), (Prohibition(Action(iri)),)) for iri in (USE, READ)},
    EXCLUSIVE: Policy(
        "Offer",
        OFFER,
        (Permission(Action(USE), (Row("vdx:exclusive", "eq", "true").constraint(),)),),
    ),
}
"""By the IRI of the term: the policy that only this term keeps from permitting."""

TESTS: Final[Mapping[Point, str]] = {
    Point.CATALOGUE: "test_an_offer_is_not_shown",
    Point.NEGOTIATION: "test_a_negotiation_is_refused",
    Point.PUBLICATION: "test_a_publication_is_refused",
    Point.AGREEMENT: "test_an_agreement_is_refused",
    Point.TRANSFER: "test_a_transfer_is_refused",
    Point.CLOCK: "test_a_running_transfer_is_ended",
}
"""By point: the test in `test_enforcement.py` that shows that the terms which are enforced there, are."""


def enforced() -> list[tuple[str, Point]]:
    """Every term that the connector enforces, with each point at which it says so."""
    return [(iri, point) for iri, found in REGISTRY.items() for point in found.points if point in CONNECTOR]


def written(iri: str, **more: Any) -> dict[str, Any]:
    """The policy of a term as DSP has it."""
    document: dict[str, Any] = {**dsp.write(POLICIES[iri]), **more}
    return document
