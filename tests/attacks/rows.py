"""What a hostile token is in the tables: a name, how it is forged from a good one, and the steps that may refuse it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from tests.attacks.forge import Kind, Recipe

Forge = Callable[[Recipe], str]
ALL: Final = frozenset(Kind)
PROOF: Final = frozenset({Kind.PROOF})
# Verified with a key that somebody else keeps, behind an issuer and a `kid`; valid from one second to another.
KEPT: Final = frozenset({Kind.ACCESS, Kind.ASSERTION})


class Step(StrEnum):
    """What refuses it, in the order in which things are looked at."""

    SIZE = "size"
    SHAPE = "segments"
    ENCODING = "base64url"
    JSON = "strict JSON"
    HEADER = "header"
    ALGORITHM = "algorithm"
    TYPE = "type"
    KEY = "key"
    SIGNATURE = "signature"
    CLAIMS = "claims"
    TIME = "time"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    REQUEST = "request"
    TAKEN = "taken"


CODES: Final[dict[Step, frozenset[str]]] = {
    Step.SIZE: frozenset({"token-too-large"}),
    Step.SHAPE: frozenset({"token-form"}),
    Step.ENCODING: frozenset({"token-encoding"}),
    Step.JSON: frozenset({"token-not-json", "token-duplicate-member", "token-too-deep"}),
    Step.HEADER: frozenset({"token-header"}),
    Step.ALGORITHM: frozenset({"token-algorithm"}),
    Step.TYPE: frozenset({"token-type"}),
    Step.KEY: frozenset({"token-key", "proof-key"}),
    Step.SIGNATURE: frozenset({"token-signature"}),
    Step.CLAIMS: frozenset({"token-claim-missing", "token-claim-type"}),
    Step.TIME: frozenset({"token-not-yet", "token-expired", "token-lifetime"}),
    Step.ISSUER: frozenset({"token-issuer"}),
    Step.AUDIENCE: frozenset({"token-audience"}),
    Step.REQUEST: frozenset({"proof-method", "proof-url", "proof-token"}),
    Step.TAKEN: frozenset(),
}


@dataclass(frozen=True)
class Attack:
    """One row: ``make`` forges the token from one that would be taken; ``steps`` are those that may refuse it."""

    name: str
    kinds: frozenset[Kind]
    steps: frozenset[Step]
    make: Forge


def row(name: str, make: Forge, *steps: Step, kinds: frozenset[Kind] = ALL) -> Attack:
    """A row."""
    return Attack(name, kinds, frozenset(steps), make)


def head(**changes: Any) -> Forge:
    """Other header members."""
    return lambda it: it.with_header(**changes)


def head_of_stranger(**changes: Any) -> Forge:
    """Other header members, signed by a key that nobody has reason to believe."""
    return lambda it: it.with_header(it.stranger, **changes)


def say(**changes: Any) -> Forge:
    """Other claims."""
    return lambda it: it.with_claims(**changes)
