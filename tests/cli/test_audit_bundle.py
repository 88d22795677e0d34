"""`carnet audit export` and `carnet audit verify` with two connectors that really run; what was exported outlives both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from connector.cli.main import cli
from connector.demo.houses import make_houses
from connector.evidence.zipped import read_zip, write_zip
from tests.cli.test_client_commands import Two, await_ready, start

ASKED = 200


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The bundles of either side of a contract with a delivery, when both connectors are gone."""
    houses, out = make_houses(tmp_path_factory.mktemp("two")), tmp_path_factory.mktemp("out")
    processes = [start(house) for house in houses]
    try:
        for house, process in zip(houses, processes, strict=True):
            await_ready(house, process)
        two = Two(*houses)
        two.json("provider", "peers", "add", two.consumer_id, "--vouched-by", "a test")
        two.json("consumer", "peers", "add", two.provider_id, "--vouched-by", "a test")
        two.json("provider", "publish", two.provider.folder / "trips.csv", "--id", "trips", "--title", "Trips")
        agreement = two.json("consumer", "negotiate", two.provider_id, "trips")["agreement"]["@id"]
        two.json("consumer", "transfer", agreement, "--to", "trips.csv")
        made = {who: _whole(two, who, agreement, out) for who in ("provider", "consumer")}
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.communicate()
    return made


def _whole(two: Two, who: str, agreement: str, out: Path) -> Path:
    """The first bundle that has both signatures, the receipt with its answer, and no line that waits for the log."""
    facts: Any = None
    for number in range(ASKED):
        path = out / f"{who}-{number}.zip"
        two.json(who, "audit", "export", agreement, path)
        found = read_zip(path)
        facts, receipts = json.loads(found["contract.json"]), [name for name in found if name.startswith("receipts/")]
        countersigned = receipts and json.loads(found[receipts[0]])["state"] == "countersigned"
        if (
            facts["evidence"] == "countersigned"
            and countersigned
            and not facts["queued"]
            and any(n.startswith("cosigned/") for n in found)
        ):
            return path
    raise AssertionError(f"{who}: {facts}")


def verify(path: Path, *words: str) -> Any:
    result = CliRunner().invoke(cli, ["audit", "verify", str(path), "--json", *words])
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.parametrize("who", ["provider", "consumer"])
def test_a_bundle_of_running_connectors_verifies(exported: dict[str, Path], who: str) -> None:
    code, said = verify(exported[who])
    assert (code, said["proven"], said["kind"]) == (0, True, "bundle")
    results = {step["name"]: step["result"] for step in said["steps"]}
    assert results.pop("cosignature") == "passed"
    assert set(results.values()) == {"passed"}


def test_one_changed_byte_is_named(exported: dict[str, Path], tmp_path: Path) -> None:
    found = read_zip(exported["provider"])
    found["agreement.json"] = found["agreement.json"].replace(b"use", b"usf", 1)
    with (tmp_path / "x.zip").open("wb") as opened:
        write_zip(opened, found)
    code, said = verify(tmp_path / "x.zip")
    assert (code, said["proven"]) == (1, False)
    assert said["steps"][-1]["place"] == {"file": "agreement.json"}


@pytest.mark.parametrize("who", ["provider", "consumer"])
def test_the_key_of_the_log_tells_whose_the_bundle_is(exported: dict[str, Path], who: str, tmp_path: Path) -> None:
    found = read_zip(exported[who])
    vkey = found["vkeys"].decode().split()[-1]
    assert verify(exported[who], "--key", vkey)[0] == 0
    snapshots = [json.loads(content) for name, content in found.items() if name.startswith(f"keys/{who}-")]
    document = snapshots[0]["document"]
    (tmp_path / "did.json").write_text(json.dumps(document))
    assert verify(exported[who], "--did", str(tmp_path / "did.json"))[0] == 0
    other = next(json.loads(content) for name, content in found.items() if name.startswith("keys/") and who not in name)
    (tmp_path / "did.json").write_text(json.dumps(other["document"]))
    code, said = verify(exported[who], "--did", str(tmp_path / "did.json"))
    assert (code, said["steps"][-1]["code"]) == (1, "key-unknown")
