"""Data references: handed out with a token that is good, renewed at the provider, kept before they are used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

import msgspec
import orjson
import pytest

from connector.flow import acts, begin
from connector.flow.references import EARLY_MS, References, reference_of
from connector.http.client import Answer, EgressRefused, PeerUnreachable
from connector.protocol.errors import Conflict, NotFound, Unavailable
from connector.protocol.messages import Document
from connector.protocol.record import Process
from connector.protocol.states import Kind, State
from connector.store import writes
from tests.flow.house import DATASET, OFFER, Street

EDC = "https://w3id.org/edc/v0.0.1/ns/"
LIFE_S = 300


@dataclass
class Provider:
    """The provider's token endpoint, as the guarded client sees it."""

    answer: Callable[[], Answer] = lambda: Answer(200, {}, b"{}")
    asked: list[tuple[str, str, dict[str, list[str]], str]] = field(default_factory=list)

    async def request(self, method: str, url: str, *, headers: dict[str, str], body: bytes, **_: object) -> Answer:
        """See GuardedClient."""
        self.asked.append((method, url, parse_qs(body.decode()), headers["Authorization"]))
        await asyncio.sleep(0)
        return self.answer()

    def gives(self, **more: Any) -> None:
        """Answer with new tokens, another one each time."""

        def answer() -> Answer:
            count = len(self.asked)
            tokens = {"access_token": f"access-{count}", "refresh_token": f"refresh-{count}", "expires_in": LIFE_S}
            return Answer(200, {}, orjson.dumps(tokens | more))

        self.answer = answer


class Signs:
    """Assertions without keys."""

    def make(self, provider: str, token: str) -> str:
        """What renews a token, readable."""
        return f"{provider} {token}"


def address(**properties: str) -> Document:
    """A data address in the form of the specification."""
    named = [{"@type": "EndpointProperty", "name": name, "value": value} for name, value in properties.items()]
    return {
        "@type": "DataAddress",
        "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
        "endpoint": "https://p/x",
        "endpointProperties": named,
    }


RENEWABLE = {
    "authorization": "access-0",
    "authType": "bearer",
    "refreshToken": "refresh-0",
    "expiresIn": str(LIFE_S),
    "refreshEndpoint": "https://p/token",
}


@dataclass
class Scene:
    """A transfer that runs, who hands out its reference, and the provider."""

    street: Street
    provider: Provider
    references: References
    id: str

    async def process(self) -> Process:
        """The transfer."""
        return await acts.load(self.street.consumer.context, self.id)

    async def put(self, document: Document | None, state: State = State.STARTED) -> None:
        """Another data address, as a start message brings it."""
        process = await self.process()
        detail = msgspec.structs.replace(process.detail, data_address=document)
        changed = replace(process, detail=detail, state=state, updated_at=self.street.now_ms())
        await self.street.consumer.store.commit([writes.update_process(changed)])


@pytest.fixture
async def scene(street: Street) -> Scene:
    """A transfer that runs, with a token that can be renewed."""
    context = street.consumer.context
    await begin.request_contract(context, counterparty="did:web:provider", dataset=DATASET, offer=OFFER)
    for _ in range(20):
        await street.pump()
    agreement = (await street.consumer.store.agreements())[0]
    transfer = await begin.request_transfer(context, agreement_id=agreement.id)
    for _ in range(20):
        await street.pump()
    provider = Provider()
    provider.gives()
    references = References(context, Signs(), provider)  # type: ignore[arg-type]
    found = Scene(street, provider, references, transfer.id)
    await found.put(address(**RENEWABLE))
    return found


async def test_it_is_handed_out_as_it_is_unless_asked_otherwise(scene: Scene) -> None:
    scene.street.now += LIFE_S * 1000
    found = await scene.references.of(scene.id)
    assert (found.endpoint, found.authorization, found.life_s, found.renewable) == ("https://p/x", "access-0", LIFE_S, True)
    assert not scene.provider.asked


async def test_a_token_that_ends_soon_is_renewed_when_asked(scene: Scene) -> None:
    assert (await scene.references.of(scene.id, refresh=True)).authorization == "access-0"
    scene.street.now += LIFE_S * 1000 - EARLY_MS
    assert (await scene.references.of(scene.id, refresh=True)).authorization == "access-1"
    method, url, form, shown = scene.provider.asked[0]
    assert (method, url, shown) == ("POST", "https://p/token", "Bearer did:web:provider access-0")
    assert form == {"grant_type": ["refresh_token"], "refresh_token": ["refresh-0"]}
    # It is in the record, and good again for as long as it lives.
    assert reference_of(await scene.process()).authorization == "access-1"
    assert (await scene.references.of(scene.id, refresh=True)).authorization == "access-1"
    assert [each.what for each in await scene.street.consumer.store.timeline(scene.id)][-1] == "token renewed"


async def test_it_is_renewed_at_once_when_told_so(scene: Scene) -> None:
    assert (await scene.references.of(scene.id, now=True)).authorization == "access-1"
    assert (await scene.references.of(scene.id, now=True)).authorization == "access-2"


async def test_many_who_ask_at_once_renew_it_once(scene: Scene) -> None:
    scene.street.now += LIFE_S * 1000
    found = await asyncio.gather(*(scene.references.of(scene.id, refresh=True) for _ in range(8)))
    assert {each.authorization for each in found} == {"access-1"}
    assert len(scene.provider.asked) == 1


async def test_whoever_was_refused_gets_the_token_that_another_has_had_renewed(scene: Scene) -> None:
    """A program and a client of the field fetch in one transfer: neither's renewal makes the other's token worthless for good."""
    first, second = await asyncio.gather(*(scene.references.instead(scene.id, "access-0") for _ in range(2)))
    assert first == second == (await scene.process()).detail.data_address
    assert (await scene.references.of(scene.id)).authorization == "access-1"
    assert len(scene.provider.asked) == 1
    assert (await scene.references.of(scene.id, now=True)).authorization == "access-2"
    later = await scene.references.instead(scene.id, "Bearer access-1")
    assert "access-2" in str(later)
    assert len(scene.provider.asked) == 2


async def test_a_token_that_cannot_be_renewed_has_nothing_in_its_place(scene: Scene) -> None:
    await scene.put(address(authorization="for-good", authType="bearer"))
    with pytest.raises(Conflict, match="renew"):
        await scene.references.instead(scene.id, "for-good")
    assert "for-good" in str(await scene.references.instead(scene.id, "an older one"))


async def test_the_names_that_another_make_gives_are_kept(scene: Scene) -> None:
    spelled = address(**{EDC + name: value for name, value in {**RENEWABLE, "endpoint": "https://q/y"}.items()})
    spelled.pop("endpoint")
    await scene.put(spelled)
    found = await scene.references.of(scene.id, now=True)
    assert (found.endpoint, found.authorization) == ("https://q/y", "access-1")
    kept = (await scene.process()).detail.data_address or {}
    assert {each["name"] for each in kept["endpointProperties"]} == {each["name"] for each in spelled["endpointProperties"]}


async def test_an_address_without_what_renews_it_is_handed_out_as_it_is(scene: Scene) -> None:
    await scene.put(address(authorization="for-good", authType="bearer"))
    scene.street.now += LIFE_S * 1000
    assert (await scene.references.of(scene.id, refresh=True)).authorization == "for-good"
    with pytest.raises(Conflict, match="renew"):
        await scene.references.of(scene.id, now=True)


async def test_another_address_that_came_meanwhile_wins(scene: Scene) -> None:
    given = scene.provider.answer

    async def meanwhile(*_: object, **__: object) -> Answer:
        await scene.put(address(**{**RENEWABLE, "authorization": "restarted"}))
        return given()

    scene.provider.request = meanwhile  # type: ignore[method-assign]
    assert (await scene.references.of(scene.id, now=True)).authorization == "restarted"
    assert reference_of(await scene.process()).authorization == "restarted"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(401, {}, b""),
        Answer(500, {}, b""),
        Answer(200, {}, b"no json"),
        Answer(200, {}, b"[]"),
        Answer(200, {}, b'{"access_token": 7}'),
        Answer(200, {}, b'{"access_token": "with blank"}'),
    ],
)
async def test_an_answer_without_a_token_changes_nothing(scene: Scene, answer: Answer) -> None:
    scene.provider.answer = lambda: answer
    with pytest.raises(Unavailable) as refused:
        await scene.references.of(scene.id, now=True)
    assert refused.value.code == "token-not-renewed"
    assert reference_of(await scene.process()).authorization == "access-0"


@pytest.mark.parametrize("error", [EgressRefused("address", "it is private"), PeerUnreachable("connect", "nobody there")])
async def test_a_provider_that_is_away_is_said(scene: Scene, error: Exception) -> None:
    def away() -> Answer:
        raise error

    scene.provider.answer = away
    with pytest.raises(Unavailable):
        await scene.references.of(scene.id, now=True)


async def test_there_is_none_of_a_transfer_that_does_not_run(scene: Scene) -> None:
    await scene.put(None)
    with pytest.raises(NotFound):
        await scene.references.of(scene.id)
    await scene.put(address(authType="bearer"))
    with pytest.raises(NotFound):
        await scene.references.of(scene.id)
    await scene.put(address(**RENEWABLE), State.SUSPENDED)
    with pytest.raises(NotFound):
        await scene.references.of(scene.id)
    negotiation = await scene.street.consumer.only(Kind.NEGOTIATION)
    provided = await scene.street.provider.only(Kind.TRANSFER)
    assert negotiation is not None
    assert provided is not None
    with pytest.raises(NotFound):
        await scene.references.of(negotiation.id)
    theirs = References(scene.street.provider.context, Signs(), scene.provider)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        await theirs.of(provided.id)
