"""The checkers and the reference owe nothing to what they judge."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
JUDGES = ("cars", "checks", "kept", "opened", "reference")
RUN_TIME = {"__import__", "import_module", "exec", "eval"}
OURS = {"connector", "policies", "catalog", "examples"}


def imports(module: str) -> set[str]:
    """All that a module of the tests imports, and what the tests' modules among that import in turn."""
    path = ROOT / Path(*module.split(".")).with_suffix(".py")
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            base = node.module or ""
            inner = {f"{base}.{alias.name}" for alias in node.names}
            found |= {name for name in inner if (ROOT / Path(*name.split(".")).with_suffix(".py")).exists()} or {base}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {
            "__import__",
            "import_module",
            "exec",
            "eval",
        }:
            found.add("something at run time")
    return found.union(*(imports(name) for name in found if name.startswith("tests.")))


@pytest.mark.parametrize("judge", JUDGES)
def test_judges_import_nothing_that_they_judge(judge: str) -> None:
    found = imports(f"tests.governed.{judge}")
    assert not {name for name in found if name.split(".")[0] in OURS}
    assert "something at run time" not in found
    assert found, "nothing was read"


def test_what_imports_the_data_plane_is_seen() -> None:
    assert "connector.dataplane.query.features" in imports("tests.dataplane.query.test_features")
