"""The README's first ten commands have twins in Python and over HTTP: both are run as the client's page has them."""

from __future__ import annotations

import json
import re
import shlex
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from yarl import URL

from connector.client import sync
from connector.demo.fleet import KIT, write_parquet
from connector.demo.houses import free_ports
from tests.demo.test_walkthrough import LONGEST_S, ROOT, programs, walked

PAGE = (ROOT / "connector/client/README.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
__all__ = ["programs"]


def free_places() -> tuple[int, int]:
    """Two ports that are free together with the two after each."""
    found: list[int] = []
    while len(found) < 2:
        port = free_ports(1)[0]
        with suppress(OSError), ExitStack() as held:
            for each in (port + 1, port + 2):
                held.enter_context(closing(socket.create_server(("127.0.0.1", each))))
            if all(abs(port - other) > 2 for other in found):
                found.append(port)
    return found[0], found[1]


def block(mark: str, language: str) -> str:
    """The one block of a language between two marks of the page."""
    part = PAGE.partition(f"<!-- {mark} -->\n")[2].partition(f"<!-- end of {mark} -->")[0]
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", part, re.M | re.S)
    return str(found)


def test_every_one_of_the_ten_has_its_twins() -> None:
    part = README.partition("<!-- ten commands -->")[2].partition("<!-- end of ten commands -->")[0]
    lines = [shlex.split(line, comments=True) for line in part.splitlines() if line.startswith("carnet ")]
    commands = {f"carnet {words[1]}" if words[1] != "peers" else f"carnet peers {words[2]}" for words in lines}
    assert len(lines) == 10
    rows = re.findall(r"^\| `(carnet [a-z ]+)` \| `(.+?)` \|(.*?)\|$", PAGE, re.M)
    assert {name for name, _, _ in rows} == commands
    served = block("ten commands over http", "http")
    for _, python, http in rows:
        method = re.search(r"(?:carnet\.)?(\w+)\(", python)
        assert method is not None
        assert hasattr(sync.Carnet, method[1]) or hasattr(sync, method[1]), python
        for verb, path in re.findall(r"`(GET|POST) (/carnet/v1/\w+)", http):
            assert f"{verb} {path}" in served or path.endswith("/status")


def test_the_twins_in_python_work(programs: Path, tmp_path: Path) -> None:
    one, two = free_places()
    program = block("ten commands in python", "python").replace("8301", str(one)).replace("8311", str(two))
    (tmp_path / "twins.py").write_text(program)
    said, _ = walked(f"python3 {shlex.quote(str(tmp_path / 'twins.py'))}", programs, tmp_path / "walk")
    for line in (
        r"^Only cells of at least 5 distinct vehicles\.$",
        r"^0 datasets before the OEM knows the city$",
        r"^[1-9]\d* cells, [1-9]\d* held back, in flow\.csv$",
        r"^consumer countersigned: [1-9]\d* rows$",
    ):
        assert re.search(line, said, re.M), f"{line}\n{said}"
    with (tmp_path / "walk" / "city" / "received" / "flow.csv").open(encoding="utf-8") as opened:
        assert next(opened) == "cell,latitude,longitude,time,vehicles,Vehicle.Speed\n"


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Both connectors, with what the page's words in capitals stand for."""
    folder, (one, two) = tmp_path_factory.mktemp("twins"), free_places()
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.chdir(folder)
        settings = sync.init("oem", loopback=one, beside=[two]), sync.init("city", loopback=two, beside=[one])
        for each in settings:
            stack.enter_context(sync.serving(each))
        write_parquet(folder / "oem" / "trips.parquet", KIT, 150, 1, 7)
        yield {
            "FLEET": str(folder / "oem" / "trips.parquet"),
            "TERMS": json.loads((ROOT / "examples/offers/flow.json").read_text()),
            "OEM": f"did:web:localhost%3A{one}",
            "CITY": f"did:web:localhost%3A{two}",
            "VERSION": "0",
            "oem": (f"http://127.0.0.1:{one + 2}", (folder / "oem" / "operator.key").read_text().strip()),
            "city": (f"http://127.0.0.1:{two + 2}", (folder / "city" / "operator.key").read_text().strip()),
        }


def filled(value: Any, known: dict[str, Any]) -> Any:
    """A body with what the words stand for."""
    if isinstance(value, dict):
        return {name: filled(each, known) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, known) for each in value]
    return known.get(value, value) if isinstance(value, str) else value


def learnt(path: str, answer: Any, known: dict[str, Any]) -> None:
    """What later requests need of an answer."""
    match path.rpartition("/")[2].partition("?")[0]:
        case "catalog" if isinstance(answer, dict):
            known["OFFER"] = answer["hasPolicy"][0]
        case "negotiations":
            known |= {"NEGOTIATION": answer["id"], "VERSION": str(answer["version"])}
        case "transfers":
            known |= {"TRANSFER": answer["id"], "VERSION": str(answer["version"])}
        case "NEGOTIATION":
            known["AGREEMENT"] = answer["agreement"]["@id"]


async def answered(line: str, known: dict[str, Any]) -> Any:
    """The answer to a line of the page; what waits is asked again as long as it waits."""
    found = re.fullmatch(r"(oem|city) +(GET|POST) (\S+)(?: (\{.*\}))?", line)
    assert found is not None, line
    url, key = known[found[1]]
    body = None if found[4] is None else json.dumps(filled(json.loads(found[4]), known))
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    answer: Any = None
    async with ClientSession() as web:
        for _ in range(LONGEST_S):
            path = found[3]
            for word in ("CITY", "NEGOTIATION", "TRANSFER", "AGREEMENT", "VERSION"):
                path = path.replace(word, re.sub("%", "%25", str(known.get(word, ""))))
            async with web.request(found[2], URL(f"{url}{path}", encoded=True), data=body, headers=headers) as response:
                answer = await response.json(content_type=None)
                assert response.status in (200, 201), f"{line}: {answer}"
            if "wait_s" not in path or answer["state"] in ("FINALIZED", "COMPLETED"):
                learnt(found[3], answer, known)
                return answer
            assert answer["state"] != "TERMINATED", answer
            known["VERSION"] = str(answer["version"])
    raise AssertionError(f"{line}: {answer}")


async def test_the_twins_over_http_work(houses: dict[str, Any]) -> None:
    answer: Any = None
    for line in block("ten commands over http", "http").splitlines():
        answer = await answered(line, houses)
    assert [each["content"]["rows"] > 0 for each in answer] == [True]
