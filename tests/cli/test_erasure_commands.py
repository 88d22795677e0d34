"""A duty of an agreement to delete, kept by two connectors that really run: the file goes, and both sides say so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli import test_client_commands as commands
from tests.cli.test_client_commands import ASKED, Two

two = commands.two


@pytest.fixture
def transferred(two: Two, tmp_path: Path) -> dict[str, Any]:
    """A transfer under an agreement that says that the data must be deleted, on no particular day."""
    terms = tmp_path / "terms.json"
    terms.write_text(json.dumps({"permission": [{"action": "use", "duty": [{"action": "odrl:delete"}]}]}))
    two.json("provider", "publish", two.provider.folder / "trips.csv", "--id", "gone", "--terms", terms)
    process = two.json("consumer", "negotiate", two.provider_id, "gone")
    assert process["state"] == "FINALIZED"
    found: dict[str, Any] = two.json("consumer", "transfer", process["agreement"]["@id"], "--to", "gone.csv")
    return found


def test_what_must_be_deleted_is_deleted_and_attested(two: Two, transferred: dict[str, Any]) -> None:
    file = two.consumer.folder / "received" / "gone.csv"
    assert file.exists()
    (owed,) = two.json("consumer", "duties")
    assert (owed["state"], owed["dueAt"], owed["kind"]) == ("waiting", None, "delete")
    assert "on its event" in two.carnet("provider", "duties").stdout
    said = two.carnet("consumer", "duties", "happened", owed["id"], "--counterparty", two.provider_id)
    assert "its event happened: " in said.stdout
    for _ in range(ASKED):
        (expected,) = two.json("provider", "duties")
        if expected["state"] == "fulfilled":
            break
    else:
        pytest.fail(f"not fulfilled: {two.json('consumer', 'duties')}")
    assert not file.exists()
    (gone,) = expected["outcome"]["erased"]
    assert (gone["transfer"], gone["file"], expected["outcome"]["outside"]) == (transferred["id"], "gone.csv", [])
    assert len(gone["sha256Before"]) == 64
    shown = two.carnet("provider", "duties").stdout
    assert "erased in 1 files" in shown
    assert "attested to us: " in shown
    assert "attested by us: " in two.carnet("consumer", "duties").stdout
    again = two.carnet("consumer", "duties", "happened", owed["id"], "--counterparty", two.provider_id)
    assert (again.exit_code, "waits for no event" in again.stderr) == (1, True)
