"""The interface of a connector that runs: pages, tags and conditions, and that things are found below their own kind only."""

from __future__ import annotations

import re
from typing import Any

from connector.protocol.record import Detail, Process
from connector.protocol.states import Kind, Role, State
from connector.store import writes
from connector.store.rows import Happening
from tests.api.running import Channel
from tests.identity.entries import CITY

NEXT = re.compile(r'<(/carnet/v1)?([^>]*)>; rel="next"')


def process(number: int, kind: Kind) -> Process:
    return Process(
        f"urn:{kind.value}:{number}", kind, Role.CONSUMER, State.REQUESTED, CITY, "https://city.example", f"c-{number}", "d",
        number, number, Detail(),
    )  # fmt: skip


async def everything(channel: Channel, path: str) -> list[list[Any]]:
    """The pages of a list, as their links lead through them."""
    pages: list[list[Any]] = []
    while path:
        answer = await channel.ask("GET", path)
        assert answer.status == 200, answer.body
        pages.append(answer.json)
        following = NEXT.fullmatch(answer.headers.get("Link", ""))
        path = following[2] if following else ""
        assert len(pages) < 20
    return pages


async def test_links_lead_through_a_list_whatever_the_length_of_its_pages(channel: Channel) -> None:
    store = channel.running.context.store
    made = [process(number, Kind.NEGOTIATION) for number in range(1, 8)]
    await store.commit([writes.insert_process(each) for each in made])
    for limit, lengths in ((3, [3, 3, 1]), (7, [7, 0]), (100, [7])):
        pages = await everything(channel, f"/negotiations?limit={limit}&state=REQUESTED")
        assert [len(page) for page in pages] == lengths
        assert [each["id"] for page in pages for each in page] == [each.id for each in made]
    assert await channel.get("/negotiations?state=FINALIZED") == []


async def test_what_is_wrong_with_a_page_is_said(channel: Channel) -> None:
    for query, code in (("after=x", "after-invalid"), ("limit=x", "query-invalid"), ("limit=-1", "query-invalid")):
        answer = await channel.ask("GET", f"/agreements?{query}")
        assert (answer.status, answer.json["code"]) == (400, code)
        assert answer.headers["Content-Type"] == "application/problem+json"


async def test_a_process_is_found_below_its_own_kind(channel: Channel) -> None:
    deal, transfer = process(1, Kind.NEGOTIATION), process(2, Kind.TRANSFER)
    await channel.running.context.store.commit([writes.insert_process(each) for each in (deal, transfer)])
    for each, place, other in ((deal, "negotiations", "transfers"), (transfer, "transfers", "negotiations")):
        assert (await channel.get(f"/{place}/{each.id}"))["id"] == each.id
        assert await channel.get(f"/processes/{each.id}") == await channel.get(f"/{place}/{each.id}")
        for method, path in (("GET", ""), ("GET", "/timeline"), ("POST", "/terminate")):
            answer = await channel.ask(method, f"/{other}/{each.id}{path}")
            assert (answer.status, answer.json["code"]) == (404, "process-unknown")


async def test_a_timeline_has_the_id_that_both_sides_share(channel: Channel) -> None:
    deal = process(1, Kind.NEGOTIATION)
    happening = Happening(deal.id, 5, "sent", "REQUEST", "m-1", "REQUESTED", None, "note")
    await channel.running.context.store.commit([writes.insert_process(deal), writes.insert_event(happening)])
    (line,) = await channel.get(f"/negotiations/{deal.id}/timeline")
    assert line == {
        "process_id": deal.id, "at": 5, "what": "sent", "message": "REQUEST", "message_id": "m-1", "state": "REQUESTED",
        "awaiting": None, "note": "note", "correlationId": "c-1",
    }  # fmt: skip


async def test_a_change_is_made_of_what_was_seen_only(channel: Channel) -> None:
    assert (await channel.ask("POST", "/peers", {"id": CITY, "vouched_by": "us"})).status == 201
    path, change = f"/peers/{CITY}", {"profile": {"addresses": ["https://new.example/dsp"]}}
    seen = (await channel.ask("GET", path)).headers["ETag"]
    first = await channel.ask("PATCH", path, change, If_Match=seen)
    assert (first.status, first.json["addresses"]) == (200, ["https://new.example/dsp"])
    second = await channel.ask("PATCH", path, {"profile": {"addresses": []}}, If_Match=seen)
    assert (second.status, second.json["code"]) == (412, "outdated")
    assert (await channel.get(path))["addresses"] == ["https://new.example/dsp"]
    third = await channel.ask("PATCH", path, {"profile": {"addresses": []}}, If_Match=first.headers["ETag"])
    assert (third.status, third.json["addresses"]) == (200, [])
    wrong = await channel.ask("PATCH", path, change, If_Match="W/x")
    assert (wrong.status, wrong.json["code"]) == (400, "if-match-invalid")


async def test_a_request_under_a_key_is_answered_once(channel: Channel) -> None:
    body = {"id": CITY, "vouched_by": "us"}
    first = await channel.ask("POST", "/peers", body, Idempotency_Key="k-1")
    again = await channel.ask("POST", "/peers", body, Idempotency_Key="k-1")
    assert (first.status, again.status, again.body) == (201, 201, first.body)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (await channel.ask("POST", "/peers", body)).status == 409


async def test_templates_say_what_they_ask(channel: Channel) -> None:
    found = await channel.get("/templates")
    assert {each["id"] for each in found} == {"payd", "city", "research", "repairer"}
    assert all({"name": "price", "required": True} .items() <= {k: q[k] for k in ("name", "required")}.items()
               for each in found for q in each["questions"] if q["name"] == "price")  # fmt: skip


async def test_the_interface_describes_itself(channel: Channel) -> None:
    whole = await channel.get("/openapi.json")
    assert whole["openapi"] == "3.1.0"
    assert "/carnet/v1/access/keys" in whole["paths"]
    page = await channel.ask("GET", "/docs")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
