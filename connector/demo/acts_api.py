"""The act about people and programs at the OEM, each with a key and a role: a dashboard of EDC's publishes, a person decides.

What the dashboard sends are documents of EDC's Management API v3 over plain HTTP, as its clients send them; people use the SDK.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from connector.client import Carnet, Event, Refused, Waiting
from connector.client.local import Document
from connector.demo.recalls import KEY_HEADER, RecallsApi
from connector.demo.stage import FETCH_TIMEOUT_S, STEP_S, Stage, Stopwatch, hold

RECALLS: Final = "urn:example:recalls"
LANDED: Final = "recalls.json"
DECIDES: Final = "commercial"
OFFERED, ASKED = 10, 50
"""How often the API may be called: as offered, and as the repairer asks."""
_EDC: Final = "https://w3id.org/edc/v0.0.1/ns/"


@dataclass(frozen=True, slots=True)
class Keys:
    """API keys of the OEM's management listener, each shown once: a program's, that of a person who decides, an auditor's."""

    dashboard: str = field(repr=False)
    person: str = field(repr=False)
    auditor: str = field(repr=False)


async def sell(stage: Stage, api: RecallsApi) -> Path:
    """An API becomes an asset, a contract and a file, by people and programs with keys; gives the file."""
    stage.act("People and programs with keys: a dashboard made for EDC sells an API, a person decides")
    keys = Keys(*[await _key(stage, *each) for each in (("dashboard", DECIDES), ("sales", DECIDES), ("audit", "auditor"))])
    await _published(stage, keys.dashboard, api)
    url = stage.oem.house.management
    async with Carnet(url, key=keys.person) as person, Carnet(url, key=keys.auditor) as auditor:
        agreement = await _approved(stage, person, auditor)
    return await _fetched(stage, agreement, api)


async def _key(stage: Stage, name: str, role: str) -> str:
    return str((await stage.oem.client.make_api_key(name, [role]))["key"])


async def _published(stage: Stage, key: str, api: RecallsApi) -> None:
    """Three documents, as clients of EDC send them; the list shows the asset, and the key of the source to nobody."""
    watch = Stopwatch()
    for path, document in _documents(api).items():
        status, said = await _posted(stage, key, path, document)
        hold(status == 200, f"the dashboard's {path} was answered with HTTP {status}: {said}")
    status, found = await _posted(stage, key, "assets/request", {"@type": "QuerySpec", "filterExpression": [_is("id", RECALLS)]})
    hold([each["@id"] for each in found] == [RECALLS], f"the dashboard does not find its asset: HTTP {status}")
    hold(api.key not in str(found), "the dashboard is shown the key of the source")
    stage.tell("dashboard", "posts an asset (an API behind a key), a policy, a contract definition: 200", watch.stop())


def _documents(api: RecallsApi) -> dict[str, Document]:
    """By path below ``/v3``."""
    address = {"type": "HttpData", "baseUrl": api.url, "authKey": KEY_HEADER, "authCode": api.key}
    calls = {"leftOperand": "count", "operator": "lteq", "rightOperand": OFFERED}
    allowed: list[Document] = [{"action": "use", "constraint": [calls]}]
    policy = {"@context": "http://www.w3.org/ns/odrl.jsonld", "@type": "Set", "permission": allowed}
    return {
        "assets": {"@id": RECALLS, "@type": "Asset", "properties": {"name": "Recall campaigns"}, "dataAddress": address},
        "policydefinitions": {"@id": "a-few-calls", "@type": "PolicyDefinition", "policy": policy},
        "contractdefinitions": {
            "@id": "recalls",
            "@type": "ContractDefinition",
            "accessPolicyId": "a-few-calls",
            "contractPolicyId": "a-few-calls",
            "assetsSelector": [_is(f"{_EDC}id", RECALLS)],
            "privateProperties": {"approval": {"roles": [DECIDES]}},
        },
    }


def _is(left: str, right: str) -> Document:
    return {"@type": "Criterion", "operandLeft": left, "operator": "=", "operandRight": right}


async def _posted(stage: Stage, key: str, path: str, document: Document) -> tuple[int, Any]:
    """Status and answer of a call of the OEM's management interface, version 3."""
    url = f"{stage.oem.house.management}/management/v3/{path}"
    body = {"@context": {"@vocab": _EDC}, **document}
    async with (
        asyncio.timeout(FETCH_TIMEOUT_S),
        stage.web.post(url, json=body, headers={"X-Api-Key": key}, allow_redirects=False) as answer,
    ):
        return answer.status, await answer.json()


async def _approved(stage: Stage, person: Carnet, auditor: Carnet) -> str:
    """The repairer asks for more, a person reads what is more and approves; an auditor sees all of it and may do nothing."""
    repairer, watch = stage.members["repairer"].carnet, Stopwatch()
    offer = await repairer.offered(stage.oem.did, RECALLS)
    asked = copy.deepcopy(offer.document)
    asked["permission"][0]["constraint"][0]["rightOperand"] = {"@value": str(ASKED), "@type": "xsd:integer"}
    begun = await repairer.negotiate(stage.oem.did, RECALLS, asked)
    waiting = await _waiting(person)
    seen = await person.review(waiting)
    stage.tell("repairer", "recalls, but more calls. The offer asks the role commercial, one of it reads:", watch.stop())
    for sentence in dict.fromkeys(each.sentence for each in seen.redline):
        stage.tell("", f"| {sentence}")
    hold(str(OFFERED) in str(seen.redline) and str(ASKED) in str(seen.redline), "the person does not read how many more")
    stage.tell("auditor", f"would say yes. {await _may_not(auditor, waiting)}")
    watch, events = Stopwatch(), list[Event]()
    async with asyncio.timeout(STEP_S), asyncio.TaskGroup() as together:
        together.create_task(_watched(auditor, waiting.id, events))
        await person.approve(waiting, "fifty it is", version=waiting.version)
        done = await repairer.wait(begun)
    hold(done.state == "FINALIZED" and f"'{ASKED}'" in str(done.agreement), f"they agreed on something else: {done.state}")
    stage.tell("sales", "APPROVED by the person: FINALIZED", watch.stop())
    states = list(dict.fromkeys(each.state for each in events))
    hold({each.correlation_id for each in events} == {done.correlation_id}, "the stream tells of another negotiation")
    stage.tell("auditor", f"saw it as it happened, {len(events)} events by stream: {' '.join(states)}")
    return str(done.agreement_id)


async def _waiting(person: Carnet) -> Waiting:
    """The one thing that waits for the person."""

    async def rows() -> list[Waiting]:
        return [row async for row in person.approvals()]

    (found,) = await person.until(rows, bool, within_s=STEP_S)
    hold((found.step, found.may.approve) == ("decide-counter-offer", True), f"it waits for something else: {found.step}")
    hold((found.rule.origin, found.rule.roles) == ("offer", (DECIDES,)), f"others are asked: {found.rule}")
    return found


async def _may_not(auditor: Carnet, waiting: Waiting) -> str:
    """What an auditor who approves is told."""
    hold(RECALLS in {each.id async for each in auditor.datasets()}, "the auditor does not see what is on offer")
    try:
        await auditor.approve(waiting)
    except Refused as refused:
        hold((refused.status, refused.code) == (403, "scope-missing"), f"the auditor was refused for another reason: {refused}")
        hold("approvals:write" in refused.detail, "the auditor does not read which scope is missing")
        return f'HTTP 403: "{refused.detail}"'
    hold(False, "the auditor has approved")
    return ""


async def _watched(auditor: Carnet, process: str, events: list[Event]) -> None:
    """Every event of a negotiation, from its first to its last."""
    async with aclosing(auditor.events(0, process=process)) as stream:
        async for event in stream:
            events.append(event)
            if event.state == "FINALIZED":
                return


async def _fetched(stage: Stage, agreement: str, api: RecallsApi) -> Path:
    """What the API answers lands in a file of the repairer's, and its receipt with both."""
    repairer, watch = stage.members["repairer"], Stopwatch()
    landed = await repairer.carnet.fetch(agreement, LANDED)
    file, digest = repairer.received / landed.name, hashlib.sha256(api.answer).hexdigest()
    came = await asyncio.to_thread(file.read_bytes)
    hold(came == api.answer and landed.received["sha256"] == digest, "the file that came is not what the API answered")
    stage.tell("repairer", f"recalls: {len(came)} bytes, SHA-256 {digest[:16]}… here and at the source", watch.stop())
    return file
