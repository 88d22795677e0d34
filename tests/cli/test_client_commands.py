"""The commands that talk to running connectors, against two that really run."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from connector.cli.main import cli
from connector.client.local import Away, LocalClient, once
from connector.demo.houses import House, make_houses
from connector.settings import load

ROOT = Path(__file__).parents[2]
READY_S = 60
ASKED = 2000


def start(house: House) -> subprocess.Popen[bytes]:
    with house.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "connector.cli", "serve", "--config", str(house.config), "--exit-with-stdin"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )


def await_ready(house: House, process: subprocess.Popen[bytes]) -> None:
    """The channel is opened last. Each question takes a moment of its own, so that no pause is needed."""
    settings = load(house.config, {})
    for _ in range(ASKED):
        with suppress(Away):
            if once(settings, lambda client: client.status())["dataPlane"]:
                return
        with suppress(subprocess.TimeoutExpired):
            process.wait(READY_S / ASKED)
            pytest.fail(house.log.read_text())
    pytest.fail(f"not ready: {house.log.read_text()}")


@dataclass(frozen=True)
class Two:
    provider: House
    consumer: House

    @property
    def provider_id(self) -> str:
        return self.provider.participant_id

    @property
    def consumer_id(self) -> str:
        return self.consumer.participant_id

    def carnet(self, who: str, *arguments: str | Path) -> Result:
        house = self.provider if who == "provider" else self.consumer
        words = [str(argument) for argument in arguments]
        return CliRunner().invoke(cli, [*words, "--config", str(house.config)])

    def json(self, who: str, *arguments: str | Path) -> Any:
        result = self.carnet(who, *arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    houses = make_houses(tmp_path_factory.mktemp("two"))
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("CARNET_")]:
            patch.delenv(name)
        processes = [start(house) for house in houses]
        try:
            for house, process in zip(houses, processes, strict=True):
                await_ready(house, process)
            both = Two(*houses)
            both.json("provider", "peers", "add", both.consumer_id, "--vouched-by", "a test")
            both.json("consumer", "peers", "add", both.provider_id, "--vouched-by", "a test")
            yield both
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.communicate()


@pytest.fixture(scope="module")
def offer(two: Two) -> dict[str, Any]:
    published = two.json("provider", "publish", two.provider.folder / "trips.csv", "--id", "trips", "--title", "Trips")
    assert published["source"]["bytes"] == (two.provider.folder / "trips.csv").stat().st_size
    found: dict[str, Any] = published["dataset"]["hasPolicy"][0]
    return found


@pytest.fixture(scope="module")
def agreement(two: Two, offer: dict[str, Any]) -> str:
    process = two.json("consumer", "negotiate", two.provider_id, "trips", "--offer", offer["@id"])
    assert process["state"] == "FINALIZED"
    return str(process["agreement"]["@id"])


@pytest.fixture
def wider(tmp_path: Path) -> Path:
    terms = tmp_path / "terms.json"
    terms.write_text(json.dumps({"permission": [{"action": "use"}, {"action": "odrl:sell"}]}))
    return terms


def asked(two: Two, wider: Path) -> tuple[str, str]:
    """The ids, at the consumer and at the provider, of a request with other terms."""
    process = two.json("consumer", "negotiate", two.provider_id, "trips", "--terms", wider, "--no-wait")
    ours = process["id"]
    for _ in range(ASKED):
        rows = two.json("provider", "processes", "list", "--kind", "negotiation", "--state", "REQUESTED")
        for row in rows:
            if row["consumerPid"] == ours:
                assert row["pending"] == "decide-counter-offer"
                return ours, row["id"]
    raise AssertionError("the request did not arrive")


def reaches(two: Two, who: str, process: str, state: str) -> dict[str, Any]:
    for _ in range(ASKED):
        found: dict[str, Any] = two.json(who, "processes", "show", process)
        if found["state"] == state and not found["awaiting"]:
            return found
    raise AssertionError(f"{process} does not become {state}")


@pytest.mark.usefixtures("offer")
def test_browse_shows_what_is_offered(two: Two) -> None:
    theirs = two.carnet("consumer", "browse", two.provider_id)
    assert theirs.stdout.startswith("trips: Trips\n  offer urn:uuid:")
    assert "    Permitted: use the data.\n" in theirs.stdout
    assert "    Erlaubt: die Daten nutzen.\n" in two.carnet("consumer", "browse", two.provider_id, "--language", "de").stdout
    assert two.carnet("provider", "browse").stdout == theirs.stdout
    assert two.json("consumer", "browse", two.provider_id, "--dataset", "trips")[0]["@id"] == "trips"
    assert two.carnet("consumer", "browse").stdout == "nothing is on offer\n"
    told = two.carnet("provider", "browse", two.consumer_id)
    assert (told.stdout, "ask its people to admit us" in told.stderr) == ("nothing is on offer\n", True)


def test_a_contract_is_signed_by_both(two: Two, agreement: str, tmp_path: Path) -> None:
    file, shown = tmp_path / "signed.json", [""]
    for who in ("provider", "consumer"):
        for _ in range(ASKED):
            if two.json(who, "contracts", "signatures", agreement)["signed"]["by"] == "both":
                break
        found = two.json(who, "contracts", "signatures", agreement, "--out", file)
        assert json.loads(file.read_text()) == found["jws"], two.provider.log.read_text()[-3000:]
        assert {each["participant"] for each in found["signatures"]} == {two.provider_id, two.consumer_id}
        shown.append(file.read_text())
        assert "signed by both\n" in two.carnet(who, "contracts", "show", agreement).stdout
        assert "signed by both\n" in two.carnet(who, "contracts", "list").stdout
    assert shown[1] == shown[2]
    assert "file-failed" in two.carnet(who, "contracts", "signatures", agreement, "--out", file / "x").stderr


def test_contracts_are_listed_and_shown(two: Two, agreement: str) -> None:
    for who in ("provider", "consumer"):
        assert agreement in two.carnet(who, "contracts", "list").stdout
        assert two.json(who, "contracts", "show", agreement)["state"] == "binding"
    assert '"permission"' in two.carnet("consumer", "contracts", "show", agreement).stdout


def test_a_delivery_is_signed_by_both_and_stated(two: Two, agreement: str) -> None:
    transfer = two.json("consumer", "transfer", agreement, "--to", "signed.csv")
    own = {"consumer": transfer["id"], "provider": transfer["providerPid"]}
    for who in ("provider", "consumer"):
        rows: dict[str, Any] = {}
        for _ in range(ASKED):
            rows = {row["id"]: row for row in two.json(who, "receipts", "--agreement", agreement)}
            if own[who] in rows and rows[own[who]]["state"] == "countersigned":
                break
        else:
            pytest.fail(f"not countersigned: {rows}, {two.provider.log.read_text()[-3000:]}")
        assert (rows[own[who]]["differences"], rows[own[who]]["content"]["bytes"]) == ([], transfer["received"]["bytes"])
        assert own[who] in two.carnet(who, "receipts").stdout
        stated = two.json(who, "statement", agreement)
        assert own[who] not in [each["transfer"] for each in stated["unsettled"]]
        assert stated["deliveries"] >= 1
        assert "deliveries, as of" in two.carnet(who, "statement", agreement).stdout
        assert two.json(who, "duties") == []
        assert two.carnet(who, "duties", "--overdue").stdout == "no overdue duty\n"


def test_a_transfer_says_what_came_and_where_it_is(two: Two, agreement: str) -> None:
    result = two.carnet("consumer", "transfer", agreement, "--to", "came.csv")
    assert result.exit_code == 0, result.output
    file = two.consumer.folder / "received" / "came.csv"
    assert f"  file {file}\n" in result.stdout
    assert f"  bytes {file.stat().st_size}\n" in result.stdout
    assert "COMPLETED\n" in result.stderr
    assert file.read_bytes() == (two.provider.folder / "trips.csv").read_bytes()


def test_a_name_is_found_for_data_without_one(two: Two, agreement: str) -> None:
    moved = two.json("consumer", "transfer", agreement)
    assert Path(moved["file"]).name.startswith("trips.")
    size = Path(moved["file"]).stat().st_size
    assert size == moved["received"]["bytes"]
    for house, pid, far in (
        (two.consumer, moved["consumerPid"], {"bytes": size, "total": size, "making": False}),
        (two.provider, moved["providerPid"], {"bytes": None, "total": None, "making": None}),
    ):
        assert once(load(house.config, {}), partial(LocalClient.progress, process_id=pid)) == far


def test_without_fetching_the_token_is_handed_out(two: Two, agreement: str) -> None:
    moved = two.json("consumer", "transfer", agreement, "--no-fetch")
    assert moved["dataAddress"]["endpoint"].startswith(f"http://127.0.0.1:{two.provider.public_port}/public/")
    reaches(two, "provider", moved["providerPid"], "STARTED")
    assert two.carnet("provider", "processes", "suspend", moved["providerPid"], "--reason", "a pause").exit_code == 0
    reaches(two, "consumer", moved["id"], "SUSPENDED")
    reaches(two, "provider", moved["providerPid"], "SUSPENDED")
    assert two.carnet("provider", "processes", "resume", moved["providerPid"]).exit_code == 0
    reaches(two, "consumer", moved["id"], "STARTED")
    assert two.carnet("consumer", "processes", "complete", moved["id"]).exit_code == 0
    reaches(two, "provider", moved["providerPid"], "COMPLETED")


def test_a_file_that_is_there_already_is_not_overwritten(two: Two, agreement: str) -> None:
    assert two.carnet("consumer", "transfer", agreement, "--to", "twice.csv").exit_code == 0
    result = two.carnet("consumer", "transfer", agreement, "--to", "twice.csv")
    assert (result.exit_code, "the transfer was ended" in result.stderr) == (1, True)


@pytest.mark.usefixtures("offer")
def test_other_terms_are_refused_with_a_reason(two: Two, wider: Path) -> None:
    ours, theirs = asked(two, wider)
    assert "waits for a person: decide-counter-offer" in two.carnet("provider", "processes", "list").stdout
    done = two.carnet("provider", "processes", "terminate", theirs, "--reason", "use only", "--code", "no-resale")
    assert done.exit_code == 0, done.output
    reaches(two, "consumer", ours, "TERMINATED")
    assert "by the provider: use only [no-resale]" in two.carnet("consumer", "processes", "show", ours).stdout
    timeline = two.carnet("consumer", "processes", "timeline", ours).stdout
    assert "received TERMINATION" in timeline
    assert two.json("consumer", "processes", "timeline", ours)[0]["what"] == "sent"


@pytest.mark.usefixtures("offer")
def test_other_terms_are_agreed_to_by_a_person(two: Two, wider: Path) -> None:
    ours, theirs = asked(two, wider)
    assert two.carnet("provider", "processes", "agree", theirs).exit_code == 0
    assert len(reaches(two, "consumer", ours, "FINALIZED")["agreement"]["permission"]) == 2


def test_a_counter_offer_is_accepted_by_a_person(two: Two, wider: Path, offer: dict[str, Any], tmp_path: Path) -> None:
    ours, theirs = asked(two, wider)
    published = tmp_path / "published.json"
    published.write_text(json.dumps({"permission": offer["permission"]}))
    assert two.carnet("provider", "processes", "offer", theirs, published).exit_code == 0
    assert reaches(two, "consumer", ours, "OFFERED")["pending"] == "decide-offer"
    assert two.carnet("consumer", "processes", "accept", ours).exit_code == 0
    reaches(two, "consumer", ours, "FINALIZED")


@pytest.mark.usefixtures("offer")
def test_what_waits_is_shown_with_its_redline_and_approved(two: Two, wider: Path) -> None:
    ours, theirs = asked(two, wider)
    shown = two.carnet("provider", "processes", "show", theirs).stdout
    assert "    Added: Permitted: sell the data." in shown
    assert re.search(r"waits for a person: decide-counter-offer, until \d{4}-", shown)
    version = two.json("provider", "processes", "show", theirs)["version"]
    late = two.carnet("provider", "processes", "approve", theirs, "--version", str(version + 1))
    assert (late.exit_code, "[changed-meanwhile]" in late.stderr) == (1, True)
    done = two.carnet(
        "provider", "processes", "approve", theirs, "--comment", "as agreed by telephone", "--version", str(version)
    )
    assert done.exit_code == 0, done.output
    reaches(two, "consumer", ours, "FINALIZED")
    assert "as agreed by telephone" in two.carnet("provider", "processes", "timeline", theirs).stdout
    assert "as agreed by telephone" not in two.carnet("consumer", "processes", "timeline", ours).stdout


@pytest.mark.usefixtures("offer")
def test_what_waits_is_rejected_with_a_reason(two: Two, wider: Path) -> None:
    ours, theirs = asked(two, wider)
    assert two.carnet("provider", "processes", "reject", theirs, "--reason", "not for sale").exit_code == 0
    reaches(two, "consumer", ours, "TERMINATED")
    assert "by the provider: not for sale" in two.carnet("consumer", "processes", "show", ours).stdout
    again = two.carnet("provider", "processes", "approve", theirs)
    assert (again.exit_code, "[nothing-pending]" in again.stderr) == (1, True)


@pytest.fixture(scope="module")
def flow(two: Two) -> str:
    """A dataset for public bodies that plan mobility, and for others at a price, with the offer's id."""
    template = ("--template", "city", "--price", "4900.00", "--place", "FRA", "--publisher", "Example Motors")
    more = ("--title", "Flow", "--contact", "Data desk <desk@oem.example>", "--column", "zone=location")
    zones = two.provider.folder / "zones.csv"
    published = two.json("provider", "publish", zones, "--id", "urn:example:flow", "--measure", *template, *more)
    assert '"https://w3id.org/carnet/terms#rows"' in json.dumps(published["dataset"])
    return str(published["dataset"]["hasPolicy"][0]["@id"])


def test_what_is_published_is_explained_in_every_language(two: Two, flow: str) -> None:
    told = two.json("provider", "explain", flow, "--language", "fr")
    assert {"path": "/permission/0", "depth": 0, "sentence": "Permis : utiliser les données."} in told["sentences"]
    assert told["problems"] == []
    assert any("juridique seulement" in each["sentence"] for each in told["delivery"])
    text = two.carnet("provider", "explain", flow).stdout
    assert "enforced at: catalogue, negotiation" in text
    assert "delivery" not in two.json("provider", "explain", flow, "--redacted")


def test_an_agreement_is_explained_by_both_sides(two: Two, agreement: str) -> None:
    for who in ("provider", "consumer"):
        told = two.json(who, "explain", agreement)
        assert (told["kind"], told["id"]) == ("Agreement", agreement)


def test_what_participants_would_get_is_simulated(two: Two, flow: str) -> None:
    def outcomes(*words: str) -> list[str]:
        (told,) = two.json("provider", "simulate", "urn:example:flow", *words)
        assert told["id"] == flow
        return [decision["outcome"] for decision in told["decisions"]]

    city = ("--kind", "public-body", "--purpose", "MobilityPlanning")
    assert outcomes(*city) == ["permit", "permit", "permit"]
    assert outcomes("--kind", "public-body", "--purpose", "Marketing") == ["permit", "deny", "deny"]
    assert outcomes("--kind", "company") == ["permit", "permit", "permit"]
    text = two.carnet("provider", "simulate", flow, "--kind", "company").stdout
    assert "The price is 4900.00 EUR." in text
    assert "4900" not in two.carnet("provider", "simulate", flow, *city).stdout


def test_why_a_participant_does_not_see_a_dataset(two: Two, flow: str) -> None:
    (stranger,) = two.json("provider", "simulate", "urn:example:flow", "--participant", "did:web:stranger.example")
    assert (stranger["permitted"], stranger["admitted"], stranger["hidden"]["code"]) == (False, False, "not-open")
    (known,) = two.json("provider", "simulate", "urn:example:flow", "--participant", two.consumer_id)
    assert (known["admitted"], known["claims"], "hidden" in known) == (True, {}, False)
    text = two.carnet("provider", "simulate", flow, "--participant", two.consumer_id).stdout
    assert f"{flow} for {two.consumer_id} (no verified claims)" in text
    assert "sees the offer: no" in text
    assert "To change that: have the claim 'kind' about you verified." in text
    assert "admit the participant" in two.carnet("provider", "simulate", flow, "--participant", "did:web:stranger.example").stdout


@pytest.mark.parametrize("command", ["explain", "simulate"])
def test_what_is_neither_file_nor_known_is_said(two: Two, command: str) -> None:
    result = two.carnet("provider", command, "urn:uuid:none")
    assert (result.exit_code, "[terms-unknown]" in result.stderr) == (1, True)


def test_an_offer_that_cannot_be_kept_is_not_published(two: Two) -> None:
    offer = Path(__file__).parents[1] / "policies" / "offers" / "1-payd-mileage.jsonld"
    rewritten = two.provider.folder / "payd.json"
    rewritten.write_text(offer.read_text().replace("urn:asset:mileage", "urn:example:mileage"))
    trips = two.provider.folder / "trips.csv"
    result = two.carnet("provider", "publish", trips, "--id", "urn:example:mileage", "--offer", rewritten)
    assert result.exit_code == 1
    assert "nothing was published [policy-unenforceable]" in result.stderr
    assert "  /offers/0/permission/0/constraint/2: no data plane here declares to keep" in result.stderr
    assert "\n    let a data plane declare" in result.stderr
    assert "urn:example:mileage" not in two.carnet("provider", "browse").stdout


@pytest.mark.usefixtures("offer")
def test_a_provider_offers_of_its_own_accord(two: Two) -> None:
    result = two.carnet("provider", "negotiate", two.consumer_id, "trips", "--as-provider", "--no-wait")
    assert (result.exit_code, f"provider with {two.consumer_id} about trips" in result.stdout) == (0, True)


@pytest.mark.usefixtures("offer")
def test_who_waits_in_vain_is_told(two: Two, wider: Path) -> None:
    result = two.carnet("consumer", "negotiate", two.provider_id, "trips", "--terms", wider, "--wait-s", "1")
    assert (
        "the negotiation is still REQUESTED [still-waiting]\nDo this: look again with: carnet processes show urn:uuid:"
        in result.stderr
    )
    assert result.exit_code == 4


def test_peers_greet_each_other(two: Two) -> None:
    assert two.carnet("consumer", "hello", two.provider_id).stdout.startswith(f"{two.provider_id} speaks 2025-1 and runs carnet")
    assert two.json("provider", "hello", two.consumer_id)["participantId"] == two.consumer_id


def test_no_letter_is_dead(two: Two) -> None:
    assert two.carnet("provider", "letters", "list").stdout == "no dead letter\n"
    for name in ("retry", "give-up"):
        result = two.carnet("provider", "letters", name, "urn:uuid:none")
        assert (result.exit_code, "[letter-unknown]" in result.stderr) == (1, True)


def test_the_doctor_asks_a_running_connector_and_its_peers(two: Two) -> None:
    result = two.carnet("consumer", "doctor", "--peers")
    assert result.exit_code == 0, result.output
    assert "fine     connector: answers; " in result.stdout
    assert "fine     data plane: is ready\n" in result.stdout
    assert f"fine     peer {two.provider_id}: {two.provider.address} answers\n" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("processes", "show", "urn:uuid:none"), "process-unknown"),
        (("contracts", "show", "a/b?c"), "agreement-unknown"),
        (("browse", "urn:nobody"), "peer-unknown"),
        (("transfer", "urn:uuid:none"), "agreement-unknown"),
        (("negotiate", "PROVIDER", "no such thing"), "peer-refused"),
    ],
)
def test_the_connectors_code_and_sentence_reach_the_caller(two: Two, arguments: tuple[str, ...], code: str) -> None:
    result = two.carnet("consumer", *(two.provider_id if word == "PROVIDER" else word for word in arguments))
    assert (result.exit_code, f"[{code}]" in result.stderr) == (1, True), result.output


def test_a_file_outside_the_allowed_folders_is_not_published(two: Two, tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text("a,b\n")
    result = two.carnet("provider", "publish", outside, "--id", "outside")
    assert result.exit_code == 1
    assert "[" in result.stderr


@pytest.mark.parametrize("content", ["[]", "no json", ""])
def test_terms_must_be_an_offer(two: Two, tmp_path: Path, content: str) -> None:
    terms = tmp_path / "terms.json"
    terms.write_text(content)
    assert two.carnet("consumer", "negotiate", two.provider_id, "trips", "--terms", terms).exit_code == 1


@pytest.mark.parametrize(
    "arguments", [("browse",), ("contracts", "list"), ("processes", "list"), ("letters", "list"), ("hello", "did:web:them")]
)
def test_a_stopped_connector_is_named(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    house, _ = make_houses(tmp_path / "stopped")
    result = CliRunner().invoke(cli, [*arguments, "--config", str(house.config)])
    assert (result.exit_code, "[connector-away]" in result.stderr) == (3, True)
    assert not (house.folder / "control.db").exists()


def test_settings_without_a_channel_say_so(tmp_path: Path) -> None:
    house, _ = make_houses(tmp_path / "closed")
    house.config.write_text(house.config.read_text().replace('# socket = "carnet.sock"', 'socket = ""'))
    result = CliRunner().invoke(cli, ["browse", "--config", str(house.config)])
    assert (result.exit_code, "[channel-none]" in result.stderr) == (3, True)
