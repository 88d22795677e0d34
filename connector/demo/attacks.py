"""The scenes in which somebody abuses what was recorded on the wire, and in which a participant is shut out."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Final

import orjson

from connector.client.local import Document, Refused
from connector.demo.badge import Badge, badge, catalog_call
from connector.demo.meeting import WHO_SAYS_SO
from connector.demo.scenes import started
from connector.demo.stage import Stage, Stopwatch, hold
from connector.identity.proof import make_proof
from connector.identity.signing import new_signing_key
from connector.protocol.messages import DSP_CONTEXT

STOLEN: Final = "a key of the city was reported stolen"
_BODY: Final = orjson.dumps({"@context": [DSP_CONTEXT], "@type": "CatalogRequestMessage"})
_Answer = tuple[int, str, Mapping[str, str]]


async def steal(stage: Stage) -> None:
    """A request that was good a moment ago is worth nothing to who recorded it."""
    async with badge(stage.consumer_house, stage.provider_house) as honest:
        good = await _accepted(stage, honest)
        call = catalog_call(stage.provider_house)
        token = (await honest.token()).raw
        thief = new_signing_key("ES256")
        forged = make_proof(thief, call.method, call.url, jti=str(uuid.uuid4()), now_s=int(time.time()), token=token)
        attempts = (
            ("the stolen access token alone", {"Authorization": f"Bearer {token}"}, "proof-missing"),
            ("with a proof by the thief's own key", {"Authorization": f"DPoP {token}", "DPoP": forged}, "proof-key"),
            ("the whole request once more, its proof with it", good, "proof-replayed"),
        )
        stage.scene("Somebody has recorded a request of the consumer, which the provider had answered with HTTP 200")
        for attack, headers, expected in attempts:
            watch = Stopwatch()
            status, code, _ = await _ask(stage, headers)
            hold((status, code) == (401, expected), f"{attack} was answered with HTTP {status} {code}")
            stage.say(f"   {attack}: HTTP {status} {code}   {watch}")


async def shut_out(stage: Stage, agreement: str, source: Document) -> None:
    """Suspended in the middle of a transfer: its data, its token and its next request are refused; then it is admitted again."""
    provider, consumer, us = stage.provider, stage.consumer, stage.consumer_house.participant_id
    async with badge(stage.consumer_house, stage.provider_house) as honest:
        await _accepted(stage, honest)
        begun, address = await started(stage, agreement)
        status, half = await stage.fetch(address, 0, source["bytes"] // 2 - 1)
        hold(status == 206, f"the first half was answered with HTTP {status}")
        stage.scene(f"The provider suspends the consumer while it fetches: {len(half)} of {source['bytes']} bytes are through")
        watch = Stopwatch()
        await provider.suspend_peer(us, STOLEN)
        refused, data_took = await stage.dies(address), str(watch)
        status, code, _ = await _ask(stage, await honest.headers(catalog_call(stage.provider_house)))
        hold((status, code) == (401, "participant-suspended"), f"the access token was answered with HTTP {status} {code}")
        token_took = str(watch)
        why = await _next_request(stage)
        reason_took = str(watch)
        ended = await stage.reaches(consumer, begun["id"], "TERMINATED")
        await stage.reaches(provider, begun["providerPid"], "TERMINATED")
        hold(ended["ended"]["code"] == "participant-suspended", "the consumer does not see why its transfer was ended")
        stage.say(f"   data: HTTP {refused}   {data_took}")
        stage.say(f"   access token and fresh proof: HTTP {status} {code}   {token_took}")
        stage.say(f'   the consumer\'s next request: "{why}"   {reason_took}')
        stage.say(f"   the transfer is {ended['state']}, code {ended['ended']['code']}, on both sides   {watch}")
    await provider.admit_peer(us, WHO_SAYS_SO)
    await consumer.catalog(stage.provider_house.participant_id)
    stage.say("   admitted again: it is answered as before")


async def _next_request(stage: Stage) -> str:
    """What the consumer's operator reads, who asks for the catalogue now."""
    try:
        await stage.consumer.catalog(stage.provider_house.participant_id)
    except Refused as error:
        hold(STOLEN in error.reason, f"the consumer is not told why: {error.reason}")
        return error.reason[max(error.reason.find("you are suspended"), 0) :]
    hold(False, "a suspended participant was shown the catalogue")
    return ""


async def _accepted(stage: Stage, honest: Badge) -> Mapping[str, str]:
    """The headers of a request that was answered; the first of a caller only learns the nonce (RFC 9449, 8)."""
    call = catalog_call(stage.provider_house)
    for _ in range(2):
        headers = await honest.headers(call)
        status, code, answered = await _ask(stage, headers)
        if status == 200:
            return headers
        hold(honest.challenged(call, answered), f"a good request was answered with HTTP {status} {code}")
    hold(False, "a good request was not answered")
    return {}


async def _ask(stage: Stage, headers: Mapping[str, str]) -> _Answer:
    """Status, code of the refusal and headers of the provider's answer to a request for its catalogue."""
    call = catalog_call(stage.provider_house)
    sent = {"Content-Type": "application/json", **headers}
    async with stage.web.request(call.method, call.url, headers=sent, data=_BODY, allow_redirects=False) as answer:
        document = orjson.loads(await answer.read())
        return answer.status, document.get("code", ""), answer.headers
