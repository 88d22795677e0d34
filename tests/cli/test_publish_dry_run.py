"""`carnet publish --table --dry-run`: what would leave is said, and nothing is published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connector.client.local import once
from connector.settings import load
from tests.cli import test_client_commands as commands
from tests.cli.test_client_commands import Two
from tests.dataplane.drives import drives

two = commands.two
VDX = "https://w3id.org/carnet/terms#"


def _row(left: str, operator: str, right: Any) -> dict[str, Any]:
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


@pytest.fixture
def table(two: Two) -> Path:
    file = two.provider.folder / "drives.csv"
    file.write_text(drives(12))
    return file


def _datasets(two: Two) -> Any:
    return once(load(two.provider.config, {}), lambda client: client.datasets())


def _offer(folder: Path, *constraints: dict[str, Any]) -> Path:
    file = folder / f"offer{len(constraints)}.json"
    purpose = _row("odrl:purpose", "isA", {"@id": "https://w3id.org/dpv#ResearchAndDevelopment"})
    file.write_text(json.dumps({"permission": [{"action": "use", "constraint": [purpose, *constraints]}]}))
    return file


def test_what_would_leave_is_shown_and_nothing_stays(two: Two, table: Path, tmp_path: Path) -> None:
    before = _datasets(two)
    good = _offer(tmp_path, _row(f"{VDX}releaseLevel", "eq", {"@id": f"{VDX}L3"}))
    words: list[str | Path] = ["publish", table, "--id", "looked-at", "--table", "--dry-run", "--offer", good]
    said = two.carnet("provider", *words)
    assert (said.exit_code, "looked-at: can be published; nothing was" in said.stdout) == (0, True), said.output
    assert "720 rows of 12 vehicles" in said.stdout
    assert "offer 0, permission 0: L3" in said.stdout
    assert "Only cells of at least " in said.stdout
    found = two.json("provider", *words)
    assert (found["releases"][0]["level"], "preview" in found["source"]) == ("L3", False)
    assert _datasets(two) == before
    refused = two.carnet("consumer", "negotiate", two.provider_id, "looked-at")
    assert refused.exit_code == 1


def test_what_would_be_refused_is_said_with_its_remedy(two: Two, table: Path, tmp_path: Path) -> None:
    precise = _offer(tmp_path)
    said = two.carnet("provider", "publish", table, "--id", "looked-at", "--table", "--dry-run", "--offer", precise)
    assert (said.exit_code, "looked-at: would be refused; nothing was" in said.stdout) == (1, True), said.output
    assert "column Vehicle.Speed [km/h], driving-behaviour" in said.stdout
    assert "  problem at /offers/0/permission/0: instant speed" in said.stdout


def test_only_a_table_is_looked_at(two: Two, table: Path) -> None:
    refused = two.carnet("provider", "publish", table, "--id", "looked-at", "--dry-run")
    assert (refused.exit_code, "these go with --table only: --dry-run" in refused.stderr) == (2, True)
