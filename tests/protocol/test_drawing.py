"""The diagrams of the documents are those of the tables."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

from connector.cli import diagrams
from connector.protocol.drawing import DIAGRAMS, mermaid, renewed
from connector.protocol.states import TABLES, Kind, Next, Role, State

ROOT = Path(__file__).parents[2]
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
EDGE = re.compile(r"^    (\w+) --> (\w+) : (.+)$", re.MULTILINE)


@pytest.mark.parametrize(("kind", "role"), DIAGRAMS)
def test_the_architecture_has_the_diagram_of_today(kind: Kind, role: Role) -> None:
    marked = f"<!-- diagram:{kind.value}-{role.value} -->\n```mermaid\n{mermaid(kind, role)}```\n<!-- /diagram -->"
    assert marked in ARCHITECTURE, "run: python -m connector.cli.diagrams ARCHITECTURE.md"


@pytest.mark.parametrize(("kind", "role"), DIAGRAMS)
def test_a_diagram_has_the_edges_of_the_table_and_no_other(kind: Kind, role: Role) -> None:
    moves = {
        (state.value, outcome.state.value)
        for (state, _), row in TABLES[kind, role].items()
        for outcome in row.values()
        if isinstance(outcome, Next) and outcome.state is not state
    }
    drawn = EDGE.findall(mermaid(kind, role))
    assert {(source, target) for source, target, _ in drawn} == moves
    assert len(drawn) == len(moves), "one line for each two states"
    assert all(len(set(labels.split(", "))) == len(labels.split(", ")) for _, _, labels in drawn)


def test_a_diagram_says_what_is_otherwise_on_the_wire() -> None:
    assert "RESUMED : RESUMED (on the wire STARTED)" in mermaid(Kind.TRANSFER, Role.PROVIDER)
    assert "on the wire" not in mermaid(Kind.NEGOTIATION, Role.PROVIDER)


def test_a_message_after_another_is_drawn_as_its_answer() -> None:
    drawn = {(source, target): labels for source, target, labels in EDGE.findall(mermaid(Kind.NEGOTIATION, Role.CONSUMER))}
    assert drawn["INITIAL", "AGREED"] == "receive AGREEMENT (answers REQUEST)"
    assert drawn["REQUESTED", "AGREED"] == "receive AGREEMENT"
    assert drawn["OFFERED", "ACCEPTED"] == "send ACCEPTED"
    assert drawn["VERIFIED", State.TERMINATED.value] == "receive TERMINATION, send TERMINATION"


def test_only_what_stands_between_the_marks_is_drawn_anew() -> None:
    text = "# A\n<!-- diagram:transfer-provider -->\nold\n<!-- /diagram -->\n# B\n"
    new = renewed(text)
    assert new.startswith("# A\n<!-- diagram:transfer-provider -->\n```mermaid\nstateDiagram-v2\n")
    assert new.endswith("```\n<!-- /diagram -->\n# B\n")
    assert "old" not in new
    assert renewed(new) == new
    with pytest.raises(ValueError, match="nonsense"):
        renewed("<!-- diagram:nonsense-provider -->\n<!-- /diagram -->")


def test_the_command_draws_a_file_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tmp_path / "A.md"
    document.write_text("<!-- diagram:transfer-consumer -->\n<!-- /diagram -->\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["diagrams", str(document)])
    monkeypatch.delitem(sys.modules, diagrams.__name__)
    runpy.run_module(diagrams.__name__, run_name="__main__")
    assert mermaid(Kind.TRANSFER, Role.CONSUMER) in document.read_text(encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["diagrams"])
    with pytest.raises(SystemExit, match="usage"):
        runpy.run_module(diagrams.__name__, run_name="__main__")


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:tests|connector|catalog|policies)/[\w/.]+)`", ARCHITECTURE))))
def test_files_that_the_architecture_names_exist(path: str) -> None:
    assert (ROOT / path).exists()
