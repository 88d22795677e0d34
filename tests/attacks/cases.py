"""What is sent to a running connector, and what must come back: each hostile token where it could be of use to somebody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tests.attacks.forge import Kind, Recipe
from tests.attacks.hostile import attacks
from tests.attacks.rows import CODES, Attack, Step
from tests.attacks.stand import BASE, PARTIES, Seen, Stand

RESOURCE, TOKENS = "resource", "token endpoint"
NEW: Final = f"{BASE}/negotiations/request"
MAX_HEADER_BYTES: Final = 8190
MAX_FORM_BYTES: Final = 32 * 1024
Outcome = tuple[int, str | None]

# Who looks a key or an issuer up by what a token says refuses it before the gate does.
LOOKED_UP: Final[dict[tuple[str, Step], frozenset[str]]] = {
    (RESOURCE, Step.KEY): frozenset({"token-key-unknown"}),
    (RESOURCE, Step.ISSUER): frozenset({"issuer-unknown"}),
    (TOKENS, Step.KEY): frozenset({"client-key-unknown"}),
    (TOKENS, Step.CLAIMS): frozenset({"assertion-client"}),
    (TOKENS, Step.ISSUER): frozenset({"assertion-client"}),
}


@dataclass(frozen=True)
class Case:
    """One attack on one endpoint. ``expected`` are the right answers; ``changes``: it is taken, and may store something."""

    where: str
    name: str
    expected: frozenset[Outcome]
    run: Callable[[Stand], Awaitable[Seen]]
    changes: bool = False


def token_cases() -> Iterator[Case]:
    """Every hostile token, at the resource and at the token endpoint."""
    for attack in attacks(Kind.ACCESS):
        yield _case(RESOURCE, Kind.ACCESS, attack, _access)
    for attack in attacks(Kind.PROOF):
        yield _case(RESOURCE, Kind.PROOF, attack, _proof)
        # There is no access token yet that a proof could name.
        if not attack.name.startswith("ath "):
            yield _case(TOKENS, Kind.PROOF, attack, _token_proof)
    for attack in attacks(Kind.ASSERTION):
        yield _case(TOKENS, Kind.ASSERTION, attack, _assertion)


def _case(where: str, kind: Kind, attack: Attack, send: Callable[[Stand, Attack], Awaitable[Seen]]) -> Case:
    async def run(stand: Stand) -> Seen:
        return await send(stand, attack)

    taken = attack.steps == {Step.TAKEN} or (kind is Kind.PROOF and attack.name in TRIMMED)
    return Case(where, f"{kind}: {attack.name}", _taken(where) if taken else _refused(where, kind, attack), run, changes=taken)


# HTTP takes blanks off a header's value (RFC 9110, 5.5), so that what arrives is the good proof.
TRIMMED: Final = frozenset({"signature with a space", "a space before it"})
# What HTTP's own grammar refuses in a header, before anybody looks at a token.
UNSENDABLE: Final = (
    "a line end",
    "a NUL",
    "17 KiB",
    "3 MiB",
    "16,000",
    "60,000",
    "of 8 KiB",
    "JWE of",
    "4,400 digits",
    "3,000 deep",
    "kkkkkk",
    "4 KiB",
)
# What does not fit into a form that the token endpoint reads.
TOO_LARGE: Final = ("3 MiB", "60,000", "JWE of 87")


def _taken(where: str) -> frozenset[Outcome]:
    return frozenset({(201, None)} if where == RESOURCE else {(200, None)})


def _refused(where: str, kind: Kind, attack: Attack) -> frozenset[Outcome]:
    codes = frozenset[str]().union(*(CODES[step] | LOOKED_UP.get((where, step), frozenset()) for step in attack.steps))
    status = 400 if (where, kind) == (TOKENS, Kind.PROOF) else 401
    outcomes: set[Outcome] = {(status, code) for code in codes}
    if kind is Kind.ASSERTION:
        if any(part in attack.name for part in TOO_LARGE):
            outcomes = {(413, "form-too-large")}
        if attack.name == "empty":
            outcomes = {(400, "parameter-missing")}
    elif attack.name == "signature with a space":
        # The blank is gone, and what is left is not what the proof was made for.
        outcomes = {(401, "proof-token")}
    elif any(part in attack.name for part in UNSENDABLE):
        outcomes |= {(400, None)}
    return frozenset(outcomes)


async def _access(stand: Stand, attack: Attack) -> Seen:
    party = PARTIES["consumer"]
    token = attack.make(stand.access(party))
    return await stand.changed_by(party, token)


async def _proof(stand: Stand, attack: Attack) -> Seen:
    party = PARTIES["consumer"]
    token = stand.access(party).good
    return await stand.change(token, attack.make(stand.proof(party, "POST", NEW, token)))


async def _token_proof(stand: Stand, attack: Attack) -> Seen:
    party = PARTIES["consumer"]
    return await stand.ask(stand.form(stand.assertion(party).good), attack.make(stand.token_proof(party)))


async def _assertion(stand: Stand, attack: Attack) -> Seen:
    party = PARTIES["consumer"]
    recipe: Recipe = stand.assertion(party)
    return await stand.ask(stand.form(attack.make(recipe)), stand.token_proof(party).good)
