"""`carnet subject`: what is written where, for whom, and what is said to stay."""

from __future__ import annotations

import json
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from connector.cli import subject

DID = "did:web:buyer.example"
EXPORT: dict[str, Any] = {
    "participant": "did:web:us.example",
    "vehicle": "VIN1",
    "madeAt": 0,
    "pseudonym": "0" * 32,
    "erasedAt": None,
    "known": True,
    "number": 4,
    "held": [
        {
            "category": "location",
            "purpose": "https://w3id.org/dpv#Purpose",
            "recipient": DID,
            "basis": "https://w3id.org/dpv#Consent",
        }
    ],
    "entries": [],
    "requests": [{"id": "urn:request:1", "at": 0, "endedAt": None, "recipient": DID, "purpose": "https://w3id.org/dpv#Purpose"}],
    "enrolments": [{"recipient": DID, "reference": "contract-1\x1b[2J"}],
    "deliveries": [
        {"firstByteAt": 0, "counterparty": DID, "agreementId": "urn:a", "pseudonyms": ["aa"], "erased": [1000]},
        {"firstByteAt": 0, "erased": []},
    ],
    "log": [{"index": 7, "leaf": {"time": "2026-01-01T00:00:00.000Z", "type": "receipt", "state": "left"}}],
}


class Client:
    """Remembers what it is asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def subject_name(self, vehicle: str) -> dict[str, Any]:
        self.asked.append(vehicle)
        return {"pseudonym": "0" * 32}

    async def export_subject(self, vehicle: str) -> dict[str, Any]:
        return {**EXPORT, "vehicle": vehicle}

    async def erase_subject(self, reason: str, **wanted: Any) -> dict[str, Any]:
        self.asked.append((reason, wanted))
        return {"done": [], "key": None, "kept": [{"what": "the ledger", "why": "proof"}]}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client()

    def call(config: Path, work: Callable[[Any], Awaitable[Any]]) -> Any:
        try:
            work(made).__await__().__next__()
        except StopIteration as ended:
            return ended.value
        raise AssertionError("it waits")

    monkeypatch.setattr(subject, "call", call)
    return made


def run(*words: str, typed: str = "") -> Result:
    return CliRunner().invoke(subject.command, words, input=typed)


def test_an_export_is_for_its_owner_alone_and_for_people_and_programs(client: Client, tmp_path: Path) -> None:
    out = tmp_path / "her data"
    done = run("export", "VIN1", str(out))
    assert done.exit_code == 0, done.output
    assert "1 requests, 1 references, 2 deliveries, 1 lines of the log" in done.output
    assert json.loads((out / "subject.json").read_text()) == EXPORT
    text = (out / "subject.txt").read_text()
    for said in ("VIN1", DID, "as aa; told to erase", "to nobody known, as trips", "line 7", "urn:request:1", "contract-1"):
        assert said in text
    assert "\x1b" not in text
    assert [stat.S_IMODE(path.stat().st_mode) for path in (out, *sorted(out.iterdir()))] == [0o700, 0o600, 0o600]
    again = run("export", "VIN1", str(out))
    assert (again.exit_code, "file-exists" in again.output) == (1, True)


def test_a_vehicle_may_come_from_standard_input(client: Client) -> None:
    assert run("name", "-", typed="VIN9\n").output == "0" * 32 + "\n"
    assert client.asked == ["VIN9"]


def test_an_unknown_or_erased_vehicle_is_said_to_be_so() -> None:
    told = "\n".join(subject._told({**EXPORT, "known": False, "erasedAt": 0}))
    assert "Its key was erased at 1970" in told
    assert "Nothing else is known of it" in told


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("VIN1",), {"vehicle": "VIN1", "force": False}),
        ((DID, "--force"), {"participant": DID, "force": True}),
        (("urn:buyer", "--participant"), {"participant": "urn:buyer", "force": False}),
    ],
)
def test_what_is_erased_is_a_vehicle_or_a_participant(client: Client, words: tuple[str, ...], wanted: dict[str, Any]) -> None:
    done = run("erase", *words, "--reason", "why")
    assert client.asked == [("why", wanted)]
    assert "nothing is known of it" in done.output
    assert "the ledger: proof" in done.output
    assert run("erase", *words).exit_code == 2
