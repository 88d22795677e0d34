"""The scenes in which somebody abuses what was recorded on the wire, and in which a participant is shut out."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Final

import orjson

from connector.client.local import Document, Refused
from connector.demo.badge import Badge, badge, catalog_call
from connector.demo.scenes import started
from connector.demo.stage import Stage, Stopwatch, hold
from connector.demo.town import VOUCHED, Member
from connector.identity.proof import make_proof
from connector.identity.signing import new_signing_key
from connector.protocol.messages import DSP_CONTEXT

STOLEN: Final = "a key of the city was reported stolen"
_BODY: Final = orjson.dumps({"@context": [DSP_CONTEXT], "@type": "CatalogRequestMessage"})
_Answer = tuple[int, str, Mapping[str, str]]


async def steal(stage: Stage) -> None:
    """A request that was good a moment ago is worth nothing to who recorded it."""
    oem = stage.oem
    async with badge(stage.members["city"].house, oem.house) as honest:
        good = await _accepted(stage, honest)
        call = catalog_call(oem.house)
        token = (await honest.token()).raw
        thief = new_signing_key("ES256")
        forged = make_proof(thief, call.method, call.url, jti=str(uuid.uuid4()), now_s=int(time.time()), token=token)
        attempts = (
            ("token alone", {"Authorization": f"Bearer {token}"}, "proof-missing"),
            ("own proof", {"Authorization": f"DPoP {token}", "DPoP": forged}, "proof-key"),
            ("sent again", good, "proof-replayed"),
        )
        watch = Stopwatch()
        for attack, headers, expected in attempts:
            status, code, _ = await _ask(stage, headers)
            hold((status, code) == (401, expected), f"{attack} was answered with HTTP {status} {code}")
        said = ", ".join(f"{attack} {expected}" for attack, _, expected in attempts)
        stage.tell("thief", f"has a recorded request of the city: {said}; each HTTP 401", watch.stop())


async def shut_out(stage: Stage, agreement: str, source: Document) -> None:
    """Suspended in the middle of a transfer: its data, its token and its next request are refused; then it is admitted again."""
    oem, city = stage.oem, stage.members["city"]
    async with badge(city.house, oem.house) as honest:
        await _accepted(stage, honest)
        begun, address = await started(stage, city, agreement)
        status, half = await stage.fetch(address, 0, source["bytes"] // 2 - 1)
        hold((status, len(half)) == (206, source["bytes"] // 2), f"the first half was answered with HTTP {status}")
        watch = Stopwatch()
        await oem.client.suspend_peer(city.did, STOLEN)
        refused = await stage.dies(address)
        hold(refused in (403, 410), f"the token of a suspended participant was answered with HTTP {refused}")
        watch.stop()
        status, code, _ = await _ask(stage, await honest.headers(catalog_call(oem.house)))
        hold((status, code) == (401, "participant-suspended"), f"the access token was answered with HTTP {status} {code}")
        await _next_request(city, oem)
        ended = await stage.reaches(city.client, begun["id"], "TERMINATED")
        await stage.reaches(oem.client, begun["providerPid"], "TERMINATED")
        hold(ended["ended"]["code"] == "participant-suspended", "the consumer does not see why its transfer was ended")
    await oem.client.admit_peer(city.did, VOUCHED)
    await city.client.catalog(oem.did)
    stage.tell("oem", f"suspends the city while it fetches: data HTTP {refused}, requests HTTP {status}", watch)
    stage.tell("", f'the city reads why: "{STOLEN}"; the transfer is TERMINATED at both; admitted again, all is as before')


async def _next_request(city: Member, oem: Member) -> None:
    """The consumer's operator, who asks for the catalogue now, reads why there is none."""
    try:
        await city.client.catalog(oem.did)
    except Refused as error:
        hold(STOLEN in error.reason, f"the consumer is not told why: {error.reason}")
        return
    hold(False, "a suspended participant was shown the catalogue")


async def _accepted(stage: Stage, honest: Badge) -> Mapping[str, str]:
    """The headers of a request that was answered; the first of a caller only learns the nonce (RFC 9449, 8)."""
    call = catalog_call(stage.oem.house)
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
    call = catalog_call(stage.oem.house)
    sent = {"Content-Type": "application/json", **headers}
    async with stage.web.request(call.method, call.url, headers=sent, data=_BODY, allow_redirects=False) as answer:
        document = orjson.loads(await answer.read())
        return answer.status, document.get("code", ""), answer.headers
