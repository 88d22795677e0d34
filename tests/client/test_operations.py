"""Every operation of our own interface is a call of the client; and the client calls nothing else."""

from __future__ import annotations

import inspect
import io
import re
from typing import Any, get_type_hints

import msgspec
from aiohttp import web

from connector.api.answers.processes import ProcessAnswer
from connector.client import Process, Refused
from connector.client.local import LocalClient
from tests.access.served import served
from tests.client.speaking import listening

BASE = "/carnet/v1"
PAGES = {"describeInterface", "showReference", "streamEvents"}
"""What is read in a browser, and the stream, which `connector.client.following` reads."""
ACTS = (
    *("approve", "reject", "counter", "offer", "accept", "agree", "verify"),
    *("finalize", "start", "suspend", "resume", "complete", "terminate"),
)


def dummies(method: Any) -> dict[str, Any]:
    """Something for each parameter that has to be given."""
    hints = get_type_hints(method, None, {})
    values = {"str": "x", "list": [], "Document": {}, "dict": {}, "IO": io.BytesIO(), "Callable": lambda _: True, "float": 0.0}
    given = {}
    for name, parameter in inspect.signature(method).parameters.items():
        if parameter.default is inspect.Parameter.empty and parameter.kind is not inspect.Parameter.VAR_KEYWORD and name in hints:
            said = str(hints[name])
            given[name] = next((value for kind, value in values.items() if kind in said or said == f"<class '{kind}'>"), "x")
    return given


async def called() -> set[tuple[str, str]]:
    """Method and path of everything that the client can ask."""
    asked: set[tuple[str, str]] = set()

    async def handle(request: web.Request) -> web.Response:
        asked.add((request.method, request.path))
        # Who greets looks first at what is known.
        return web.Response(status=418, body=b'{"code": "capabilities-unknown", "detail": "it never spoke"}')

    methods = [each for name, each in inspect.getmembers(LocalClient, inspect.isfunction) if not name.startswith("_")]
    async with listening(handle) as url, LocalClient(url=url) as client:
        for method in methods:
            for kind in ("negotiation", "transfer"):
                for act in ACTS:
                    known = {"kind": kind, "verdict": act, "name": act, "process_id": "x", "counterparty": "x", "method": "GET"}
                    wanted = dummies(method)
                    wanted |= {name: known[name] for name in wanted.keys() & known.keys()}
                    if inspect.iscoroutinefunction(method):
                        try:
                            await method(client, **wanted)
                        except Refused:
                            continue
    return asked


def fits(path: str, operation: str) -> bool:
    """Whether a path is one of an operation's."""
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", operation), path) is not None


async def test_every_operation_is_a_call_of_the_client() -> None:
    asked = await called()
    own = [each for each in served() if each.path.startswith(f"{BASE}/") and each.name not in PAGES]
    assert len(own) > 40
    # The same process is found under the name of its kind.
    missing = [
        each.name
        for each in own
        if not any(method == each.method and fits(path, each.path) for method, path in asked)
        and not re.match(rf"{BASE}/(negotiations|transfers)/\{{id\}}", each.path)
    ]
    assert missing == []


def test_what_is_shown_of_a_process_has_a_member_in_the_client() -> None:
    """Also what there will be: a member that only the document has is one that programs do not find."""
    shown, known = ({field.encode_name for field in msgspec.structs.fields(each)} for each in (ProcessAnswer, Process))
    assert shown <= known
