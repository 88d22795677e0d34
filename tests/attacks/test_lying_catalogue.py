"""A peer's catalogue that never ends, leads elsewhere, or is no catalogue."""

from __future__ import annotations

from itertools import count

import pytest
from aiohttp import web

from tests.attacks.target import LIAR, OFFER, OUR_TOKEN, Liar, Target, lying
from tests.conformance.peer import Answer
from tests.conformance.spoiling import CONTEXT, Json


def page(*datasets: str, **members: object) -> Json:
    """A page with these datasets."""
    service = {"@id": "urn:service", "@type": "DataService", "endpointURL": "https://liar.example"}
    distribution = [{"@type": "Distribution", "format": "HttpData-PULL", "accessService": service}]
    shown = [{"@id": name, "@type": "Dataset", "hasPolicy": [OFFER], "distribution": distribution} for name in datasets]
    catalog = {"@id": "urn:catalog", "@type": "Catalog", "participantId": LIAR, "service": [service], **members}
    return {"@context": [CONTEXT], **catalog, **({"dataset": shown} if shown else {})}


async def read(target: Target, **more: str) -> Answer:
    """The catalogue, or one dataset, as the owner gets it."""
    return await target.own("POST", "/catalog", {"counterparty": LIAR, **more})


def linking(liar: Liar, link: str) -> None:
    """Every page has one dataset and this link; ``{n}`` is another number each time."""
    numbers = count(1)

    async def answer(_: web.Request, __: Json) -> web.StreamResponse:
        number = next(numbers)
        return web.json_response(page(f"d{number}"), headers={"Link": f'<{link.format(n=number)}>; rel="next"'})

    liar.answer = answer


async def test_pages_without_end_are_refused(target: Target, liar: Liar) -> None:
    linking(liar, "?page={n}")
    answer = await read(target)
    assert (answer.status, answer.json["code"]) == (400, "catalog-endless"), answer.body[:300]
    assert len(liar.got) <= 1001
    await target.alive()


@pytest.mark.parametrize("link", ["?page=1", "", "./request", "http://[", "http://[::1", "//["], ids=repr)
async def test_a_link_that_leads_nowhere_new_ends_the_reading(target: Target, liar: Liar, link: str) -> None:
    linking(liar, link)
    answer = await read(target)
    assert answer.status in (200, 400), answer.body[:300]
    assert len(liar.got) <= 3


async def test_a_link_to_somebody_else_is_not_followed(target: Target, liar: Liar) -> None:
    """Nor would our token for this peer be shown there."""
    async with lying() as somebody:
        linking(liar, f"{liar.url}/other/catalog/request")
        answer = await read(target)
        assert (answer.status, answer.json["code"]) == (400, "link-foreign")
        assert {path for _, path, _ in liar.got} == {"/dsp/catalog/request"}
        assert somebody.got == []
    assert OUR_TOKEN.encode() not in answer.body


BODIES = {
    "large": b'"' + b"x" * 6_000_000 + b'"',
    "deep": b"[" * 200_000,
    "no JSON": b"<html>",
    "another type": b'{"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": "CatalogError"}',
    "a foreign context": b'{"@context": "http://169.254.169.254/context", "@type": "Catalog"}',
    "a circle of contexts": b'{"@context": [{"a": "b", "b": "a"}], "@type": "Catalog", "a": 1}',
    "nothing": b"",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_what_is_no_catalogue_is_the_peers_fault(target: Target, liar: Liar, body: bytes) -> None:
    async def answer(_: web.Request, __: Json) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    liar.answer = answer
    for answered in (await read(target), await read(target, dataset="../..")):
        assert answered.status in (400, 503), answered.body[:300]
    await target.alive()


async def test_catalogues_within_catalogues_are_left_alone(target: Target, liar: Liar) -> None:
    """A catalogue may hold others; they are not followed, so that a circle is none."""

    async def answer(_: web.Request, __: Json) -> web.StreamResponse:
        inner = {key: value for key, value in page("inner").items() if key != "@context"}
        return web.json_response(page("outer", catalog=[inner | {"@id": "urn:catalog"}]))

    liar.answer = answer
    answer_ = await read(target)
    assert [dataset["@id"] for dataset in answer_.json] == ["outer"], answer_.body[:300]
    assert len(liar.got) == 1
