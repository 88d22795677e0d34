"""The table of terms in the architecture is that of the registry, and the tests that it names exist."""

from __future__ import annotations

import ast
import re
import runpy
import sys
from pathlib import Path
from typing import Final

import pytest

from connector.cli import term_table
from policies.terms.registry import FAMILIES, SHOWN, table
from policies.terms.term import Point
from tests.acceptance.weighed import CONNECTOR, TESTS

ROOT: Final = Path(__file__).parents[2]
ARCHITECTURE: Final = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def test_the_architecture_has_the_terms_of_today() -> None:
    marked = f"<!-- terms -->\n{table()}\n<!-- /terms -->\n"
    assert marked in ARCHITECTURE, "run: python -m connector.cli.term_table ARCHITECTURE.md"
    assert all(f"`{found.iri}`" in marked for terms in FAMILIES.values() for found in terms)


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", table()))), ids="::".join)
def test_the_tests_that_the_table_names_exist(named: tuple[str, str]) -> None:
    path, test = named
    tree = ast.parse((ROOT / path).read_text())
    defined = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
    assert test in defined


def test_every_point_has_its_test() -> None:
    assert set(SHOWN) == set(Point)
    assert {point: f"test_enforcement.py::{test}" for point, test in TESTS.items()} == {
        point: test for point, test in SHOWN.items() if point in CONNECTOR
    }
    assert all(f"| {point.value} | `tests/acceptance/{test}` |" in ARCHITECTURE for point, test in SHOWN.items())


def test_the_command_writes_a_table_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tmp_path / "A.md"
    document.write_text("# A\n<!-- terms -->\nold\n<!-- /terms -->\n# B\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["term_table", str(document)])
    monkeypatch.delitem(sys.modules, term_table.__name__)
    runpy.run_module(term_table.__name__, run_name="__main__")
    assert document.read_text(encoding="utf-8") == f"# A\n<!-- terms -->\n{table()}\n<!-- /terms -->\n# B\n"
    monkeypatch.setattr(sys, "argv", ["term_table"])
    with pytest.raises(SystemExit, match="usage"):
        runpy.run_module(term_table.__name__, run_name="__main__")
