"""The README's first ten commands have twins in Python and over HTTP; those in Python are run as their page has them."""

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

from connector.api.twins import TWINS
from connector.client import sync
from connector.demo.fleet import KIT, write_parquet
from connector.demo.houses import free_ports
from tests.demo.test_walkthrough import ROOT, programs, walked

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
    assert {re.sub(r" (oem|city|\(\w+\))$", "", each.command) for each in TWINS} == commands
    for _, python, _ in rows:
        method = re.search(r"(?:carnet\.)?(\w+)\(", python)
        assert method is not None
        assert hasattr(sync.Carnet, method[1]) or hasattr(sync, method[1]), python


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
        r"^[1-9]\d* cells in a data frame, the fastest at \d+\.\d+ km/h$",
    ):
        assert re.search(line, said, re.M), f"{line}\n{said}"
    with (tmp_path / "walk" / "city" / "received" / "flow.csv").open(encoding="utf-8") as opened:
        assert next(opened) == "cell,latitude,longitude,time,vehicles,Vehicle.Speed\n"


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Both connectors, up and strangers to each other: who they are, what is published, where each is called with which key."""
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
            "oem": (f"http://127.0.0.1:{one + 2}", (folder / "oem" / "operator.key").read_text().strip()),
            "city": (f"http://127.0.0.1:{two + 2}", (folder / "city" / "operator.key").read_text().strip()),
        }
