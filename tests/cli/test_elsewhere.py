"""Commands that speak to a connector elsewhere, by address and key; what waits for people; data fetched to where they run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from connector.cli.main import cli
from connector.client import Refused, sync
from tests.demo.test_twins import free_places

ASKED = 2000


@dataclass(frozen=True)
class Place:
    """A running connector: its management listener, the file of its operator's key, and where its data are."""

    folder: Path
    port: int
    carnet: sync.Carnet

    @property
    def did(self) -> str:
        return f"did:web:localhost%3A{self.port}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port + 2}"

    @property
    def key_file(self) -> Path:
        return self.folder / "operator.key"

    def __call__(self, *words: str | Path) -> Result:
        """The command, given to this connector from elsewhere."""
        return run("--url", self.url, "--key-file", self.key_file, *words)

    def json(self, *words: str | Path) -> Any:
        result = self(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Place]]:
    """Provider and consumer, who have admitted each other. The provider asks a person about other terms than its own."""
    folder, ports = tmp_path_factory.mktemp("elsewhere"), free_places()
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        for name in [name for name in os.environ if name.startswith("CARNET_")]:
            patch.delenv(name)
        settings = [sync.init(folder / str(port), loopback=port, beside=[other]) for port, other in (ports, reversed(ports))]
        made = [
            Place(each.parent, port, stack.enter_context(sync.serving(each))) for each, port in zip(settings, ports, strict=True)
        ]
        provider, consumer = made
        for one, other in ((provider, consumer), (consumer, provider)):
            one.carnet.run(one.carnet.documents.add_peer(other.did, vouched_by="a test"))
        (provider.folder / "trips.csv").write_text("trip,speed\n" + "a,1\n" * 5000)
        provider.carnet.publish("trips", provider.folder / "trips.csv", title="Trips")
        yield provider, consumer


@pytest.fixture
def wider(tmp_path: Path) -> Path:
    terms = tmp_path / "terms.json"
    terms.write_text(json.dumps({"permission": [{"action": "use"}, {"action": "odrl:sell"}]}))
    return terms


def asked(provider: Place, consumer: Place, wider: Path) -> tuple[str, str]:
    """The ids, at the consumer and at the provider, of a request with other terms."""
    ours = consumer.json("negotiate", provider.did, "trips", "--terms", wider, "--no-wait")["id"]
    sent = consumer.carnet.wait(ours, lambda now: now.provider_pid is not None)
    theirs = str(sent.provider_pid)
    provider.carnet.wait(theirs, lambda now: now.pending is not None)
    return ours, theirs


def test_a_connector_elsewhere_does_what_it_is_told(places: tuple[Place, Place], monkeypatch: pytest.MonkeyPatch) -> None:
    provider, consumer = places
    assert provider("browse").stdout.startswith("trips: Trips\n")
    monkeypatch.setenv("CARNET_URL", consumer.url)
    monkeypatch.setenv("CARNET_KEY", consumer.key_file.read_text())
    assert run("browse", provider.did).stdout.startswith("trips: Trips\n")
    nothing = run("browse")
    assert (nothing.stdout, nothing.stderr) == ("nothing is on offer\n", "")
    listed = run("keys", "list", "--config", provider.folder / "carnet.toml")
    assert (listed.exit_code, "oauth" in listed.stdout) == (0, True)


def test_a_file_is_where_the_connector_is(places: tuple[Place, Place]) -> None:
    provider, _ = places
    missing = provider("publish", provider.folder / "nowhere.csv", "--id", "nowhere")
    assert (missing.exit_code, "[source_missing]" in missing.stderr) == (1, True), missing.output
    published = provider("publish", provider.folder / "trips.csv", "--id", "urn:example:again", "--title", "Again")
    assert (published.exit_code, published.stdout.startswith("urn:example:again: ")) == (0, True), published.output


@pytest.mark.parametrize(
    ("words", "key", "code", "ends"),
    [
        (("browse",), "", "key-missing", 1),
        (("browse",), "carnet_0000_wrong", "key-form", 1),
        (("browse",), "nonsense", "credential-form", 1),
        (("keys", "list"), "x", "usage", 2),
        (("doctor",), "x", "usage", 2),
    ],
)
def test_what_cannot_be_is_said(
    places: tuple[Place, Place], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], key: str, code: str, ends: int
) -> None:
    monkeypatch.setenv("CARNET_KEY", key)
    result = run("--url", places[0].url, *words)
    assert (result.exit_code, f"[{code}]" in result.stderr) == (ends, True), result.output
    assert key == "" or key not in result.output or key == "x"


def test_a_key_goes_nowhere_that_is_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CARNET_KEY", "carnet_a_b")
    result = run("--url", "http://carnet.example.com", "browse")
    assert (result.exit_code, "[address-open]" in result.stderr) == (1, True), result.output
    short = run("--url", "127.0.0.1:8181", "browse")
    assert (short.exit_code, "[address-form]" in short.stderr) == (1, True), short.output
    assert run("--url", "http://127.0.0.1:1", "browse").exit_code == 3
    assert "goes with --url" in run("--key-file", wider_file(tmp_path), "browse").stderr
    empty = run("--url", "http://127.0.0.1:1", "--key-file", wider_file(tmp_path), "browse")
    assert (empty.exit_code, "[key-missing]" in empty.stderr) == (1, True)


def wider_file(folder: Path) -> Path:
    (folder / "empty.key").write_text("\n")
    return folder / "empty.key"


def test_what_waits_is_shown_and_approved(places: tuple[Place, Place], wider: Path) -> None:
    provider, consumer = places
    assert provider("approvals", "list").stdout == "nothing waits for a person\n"
    ours, theirs = asked(provider, consumer, wider)
    (row,) = provider.json("approvals", "list")
    assert (row["id"], row["step"], row["may"]["approve"]) == (theirs, "decide-counter-offer", True)
    line = provider("approvals", "list").stdout
    assert re.search(rf"^{theirs} +decide-counter-offer .*1 changes +0 of 1 by operator or commercial +until \d{{4}}-", line)
    shown = provider("approvals", "show", theirs).stdout
    assert "    Added: Permitted: sell the data." in shown
    assert "  what would bind:\n" in shown
    assert "Erlaubt: die Daten" in provider("approvals", "show", theirs, "--language", "de").stdout
    late = provider("approve", theirs, "--version", str(row["version"] + 1))
    assert (late.exit_code, "[changed-meanwhile]" in late.stderr) == (1, True)
    assert provider("approve", theirs, "--comment", "as agreed", "--version", str(row["version"])).exit_code == 0
    assert consumer.carnet.wait(ours, lambda now: now.over).state == "FINALIZED"
    again = provider("approve", theirs)
    assert (again.exit_code, "[nothing-pending]" in again.stderr) == (1, True)


def test_what_waits_is_rejected_or_answered(places: tuple[Place, Place], wider: Path, tmp_path: Path) -> None:
    provider, consumer = places
    ours, theirs = asked(provider, consumer, wider)
    assert provider("reject", theirs, "--reason", "not for sale").exit_code == 0
    assert consumer.carnet.wait(ours, lambda now: now.over).state == "TERMINATED"
    assert "by the provider: not for sale" in consumer("processes", "show", ours).stdout
    ours, theirs = asked(provider, consumer, wider)
    plain = tmp_path / "plain.json"
    plain.write_text(json.dumps({"permission": [{"action": "use"}]}))
    assert provider("counter", theirs, plain, "--comment", "as published").exit_code == 0
    assert consumer.carnet.wait(ours, lambda now: now.pending is not None).pending == "decide-offer"
    assert consumer("approve", ours).exit_code == 0
    assert consumer.carnet.wait(ours, lambda now: now.over).state == "FINALIZED"


def test_what_is_asked_twice_under_one_word_is_done_once(places: tuple[Place, Place]) -> None:
    provider, consumer = places
    with sync.Carnet(consumer.url, key=consumer.key_file.read_text().strip()) as carnet:
        offer = carnet.offered(provider.did, "trips")
        first = carnet.negotiate(provider.did, "trips", offer, once="order-17")
        assert carnet.negotiate(provider.did, "trips", offer, once="order-17").id == first.id
        with pytest.raises(Refused, match="idempotency-key-reused"):
            carnet.negotiate(provider.did, "trips", {**offer.document, "prohibition": []}, once="order-17")
        assert carnet.wait(first).state == "FINALIZED"
        events = carnet.events(0, process=first)
        told = [next(events) for _ in range(3)]
        events.close()
        assert {each.process for each in told} == {first.id}
        assert [each.seq for each in told] == sorted(each.seq for each in told)
        assert told[0].correlation_id == first.correlation_id == carnet.timeline(first)[0].document["correlationId"]
        assert (carnet.whoami().roles, [each.id for each in carnet.offers()]) == (("operator",), [])
        assert {each.id for each in carnet.templates()} == {"payd", "city", "research", "repairer"}


def test_data_are_fetched_to_where_the_command_runs(places: tuple[Place, Place], tmp_path: Path) -> None:
    provider, consumer = places
    contract = consumer.carnet.contract(provider.did, "trips")
    allow = ("--allow", f"127.0.0.1:{provider.port + 1}")
    result = consumer("transfer", contract.id, "--here", tmp_path / "here.csv", *allow)
    assert result.exit_code == 0, result.output
    size = (provider.folder / "trips.csv").stat().st_size
    assert f"  bytes {size}\n" in result.stdout
    assert (tmp_path / "here.csv").read_bytes() == (provider.folder / "trips.csv").read_bytes()
    again = consumer("transfer", contract.id, "--here", tmp_path / "here.csv", *allow)
    assert (again.exit_code, "[file-exists]" in again.stderr) == (1, True)
    refused = consumer("transfer", contract.id, "--here", tmp_path / "other.csv")
    assert (refused.exit_code, "[scheme]" in refused.stderr) == (1, True), refused.output
    assert consumer("transfer", contract.id, "--here", tmp_path / "x", "--to", "y").exit_code == 2
    told = consumer("transfer", contract.id, "--to", "there.csv")
    assert (told.exit_code, "  file there.csv\n" in told.stdout) == (0, True), told.output
    assert len(consumer.carnet.pandas(contract)) == 5000
