"""What the tests of decisions ask: one request, one state of the world, and small policies about them."""

from __future__ import annotations

from typing import Any, Final

from policies.decision import Decision
from policies.evaluate import evaluate
from policies.model import (
    CARNET,
    ODRL,
    XSD,
    Action,
    AnyConstraint,
    Constraint,
    Lit,
    Permission,
    Policy,
    Ref,
)
from policies.terms.actions import READ, USE
from policies.terms.registry import REGISTRY
from policies.terms.term import Request, Scope, World

BUYER: Final = "did:web:buyer.example"
TARGET: Final = "urn:asset:mileage"
UNKNOWN: Final = "https://nobody.example/terms#"
NOW_MS: Final = 1_767_225_600_000  # 2026-01-01T00:00:00Z
CLAIMS: Final[dict[str, Any]] = {"kind": "company", "membership": ["Catena-X"], "country": "DE", "sector": "insurance"}
DATA_PLANE: Final = frozenset(iri for iri, term in REGISTRY.items() if any(point.of_data_plane for point in term.points))
REQUEST: Final = Request(Scope.TRANSFER, READ, TARGET, BUYER, CLAIMS, f"{CARNET}UsageBasedInsurance")
WORLD: Final = World(NOW_MS, {}, DATA_PLANE)


def atom(left: str, operator: str, *right: Ref | Lit) -> Constraint:
    """A constraint by local names: of ODRL, or of our own terms where the name begins with ``vdx:``."""
    iri = f"{CARNET}{left[4:]}" if left.startswith("vdx:") else left if ":" in left else f"{ODRL}{left}"
    return Constraint(iri, f"{ODRL}{operator}", right)


def integer(number: int) -> Lit:
    return Lit(str(number), f"{XSD}integer")


def moment(text: str) -> Lit:
    return Lit(text, f"{XSD}dateTime")


YES: Final = atom("dateTime", "gt", moment("2000-01-01T00:00:00Z"))
NO: Final = atom("dateTime", "lt", moment("2000-01-01T00:00:00Z"))
LATER: Final = Constraint("https://w3id.org/catenax/2025/9/policy/Liability", f"{ODRL}eq", (Lit("cx.liability"),))
DARK: Final = Constraint(f"{UNKNOWN}operand", f"{ODRL}eq", (Lit("x"),))
LEAVES: Final = {"S": YES, "N": NO, "W": LATER, "U": DARK}


def permits(*constraints: AnyConstraint, **more: Any) -> Permission:
    return Permission(Action(USE), constraints, **more)


def policy(*permissions: Permission, **more: Any) -> Policy:
    return Policy("Offer", "urn:offer", permissions, **more)


def judged(*permissions: Permission, request: Request = REQUEST, world: World = WORLD, **more: Any) -> Decision:
    return evaluate(policy(*permissions, **more), request, world)


def codes(decision: Decision) -> list[tuple[str, str]]:
    return [(reason.code, reason.path) for reason in decision.reasons]
