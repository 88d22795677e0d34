"""What it costs to recognise the caller of one request: CPU of this process, beside the floor of one bare ES256 verification.

A token that is known is judged by its digest, and only the proof is verified; a new one costs a second signature. The registry is
in memory, as it is for a participant that called within the last second. `python -m tests.bench.authenticate` prints the figures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click
import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from connector.identity.gate import Expected, PublicKey, public_key
from connector.identity.interface import Incoming, Scope
from connector.identity.oauth import ALGORITHMS, TOKEN_TYPES, OAuthResource, OwnIssuer
from connector.identity.participants import Admission, Claims, Participant
from tests.attacks.forge import Key, Recipe, access_token, proof

ORIGIN: Final = "https://provider.example"
RESOURCE: Final = f"{ORIGIN}/dsp/2025-1"
URL: Final = f"{RESOURCE}/negotiations/request"
CLIENT: Final = "did:web:consumer.example"
AIM_MS: Final = 0.3
ROUNDS: Final = 5


class Cost(msgspec.Struct, frozen=True):
    """CPU of one recognition in ms: of a bare verification, with a token that is known, with one that is new."""

    floor_ms: float
    known_ms: float
    new_ms: float

    def lines(self) -> list[str]:
        """For people, in Markdown."""
        return [
            "| CPU to recognise a caller | connector | one ES256 verification | ratio |",
            "| --- | ---: | ---: | ---: |",
            self._line("token known, proof verified", self.known_ms),
            self._line("token new, proof verified", self.new_ms),
            "",
            f"- below {AIM_MS} ms with a known token: {self.known_ms:.3f} ms: {'ok' if self.known_ms < AIM_MS else 'missed'}",
        ]

    def _line(self, what: str, cost_ms: float) -> str:
        return f"| {what} | {cost_ms:.3f} ms | {self.floor_ms:.3f} ms | {cost_ms / self.floor_ms:.1f} |"


class _Registry:
    async def find(self, participant_id: str) -> Participant | None:
        return Participant(id=participant_id, state=Admission.ADMITTED)


class _NoIssuers:
    """Nobody but ourselves issues tokens."""

    def expected(self, issuer: str) -> Expected | None:
        return None

    async def key(self, issuer: str, kid: str | None) -> PublicKey:
        raise AssertionError(issuer)

    def participant(self, issuer: str, claims: Mapping[str, Any]) -> tuple[str, Claims]:
        raise AssertionError(issuer)


def measured(count: int) -> Cost:
    """The least of some rounds of ``count``, taken in turns, so that a noisy neighbour spoils none of the three alone."""
    server, holder = Key("as-1"), Key("holder")
    floors, known, new = zip(*(_round(server, holder, count) for _ in range(ROUNDS)), strict=True)
    return Cost(min(floors), min(known), min(new))


def _round(server: Key, holder: Key, count: int) -> tuple[float, float, float]:
    now_s = int(time.time())
    tokens = [_token(server, holder, now_s).good for _ in range(count)]
    resource = _resource(server, now_s)
    _recognise(resource, _incoming(holder, now_s, tokens[:1]))
    known, new = _incoming(holder, now_s, tokens[:1] * count), _incoming(holder, now_s, tokens)
    signed = b"x" * 400
    signature, public = holder.der(signed), holder.private.public_key()
    began = time.process_time()
    for _ in range(count):
        public.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    floored = time.process_time()
    _recognise(resource, known)
    recognised = time.process_time()
    _recognise(_resource(server, now_s), new)
    ended = time.process_time()
    spent = (floored - began, recognised - floored, ended - recognised)
    return spent[0] * 1000 / count, spent[1] * 1000 / count, spent[2] * 1000 / count


def _recognise(resource: OAuthResource, requests: Sequence[Incoming]) -> None:
    async def each() -> None:
        for request in requests:
            await resource.inbound(request)

    asyncio.run(each())


def _token(server: Key, holder: Key, now_s: int) -> Recipe:
    return access_token(server, holder, issuer=ORIGIN, audience=RESOURCE, participant=CLIENT, now_s=now_s)


def _incoming(holder: Key, now_s: int, tokens: list[str]) -> list[Incoming]:
    def headers(token: str) -> dict[str, str]:
        made = proof(holder, "POST", URL, now_s=now_s, token=token).good
        return {"Authorization": f"DPoP {token}", "DPoP": made}

    return [Incoming("POST", URL, headers(token), Scope.NEGOTIATION, changes=True) for token in tokens]


def _resource(server: Key, now_s: int) -> OAuthResource:
    keys = {server.kid: public_key({**server.jwk, "kid": server.kid})}

    def key(kid: str | None) -> PublicKey:
        return keys[kid or ""]

    anybody = Expected(types=TOKEN_TYPES, algorithms=ALGORITHMS, max_lifetime_s=300, issuer=None, audience=None)
    return OAuthResource(
        RESOURCE,
        _Registry(),
        OwnIssuer(ORIGIN, key),
        _NoIssuers(),
        anybody=anybody,
        bearer_issuers=frozenset(),
        metadata_url=ORIGIN,
        lifetime_s=300,
        leeway_s=30,
        now_ms=lambda: now_s * 1000,
    )


@click.command()
@click.option("--count", default=2000, help="How many in each round.")
def main(count: int) -> None:
    """Print what it costs to recognise a caller."""
    click.echo("\n".join(measured(count).lines()))


if __name__ == "__main__":
    main()
