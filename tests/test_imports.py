"""Imports point one way, and the pure parts do nothing but think."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What each package may not import of ours.
FORBIDDEN = {"policies": {"catalog", "connector", "examples", "tests"}, "catalog": {"connector", "examples", "tests"}}
FORBIDDEN["connector"] = {"examples", "tests"}
# Parts without I/O, clock or chance.
PURE = ("policies", "connector/protocol", "catalog/model")
IMPURE_MODULES = {
    "aiohttp", "asyncio", "asyncpg", "concurrent", "fcntl", "glob", "http", "importlib", "io", "logging",
    "multiprocessing", "os", "pathlib", "random", "secrets", "select", "selectors", "shutil", "signal", "socket",
    "sqlite3", "ssl", "structlog", "subprocess", "sys", "tempfile", "threading", "time", "urllib3", "uuid",
}  # fmt: skip
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}
IMPURE_ATTRIBUTES = {"now", "utcnow", "today", "request", "urlopen"}


def modules(*places: str) -> list[Path]:
    return sorted(
        path
        for place in places
        for path in (ROOT / place.split("/")[0]).rglob("*.py")
        if path.relative_to(ROOT).as_posix().startswith(place)
    )


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""


def impurities(tree: ast.AST) -> Iterator[str]:
    yield from (name for name in imported(tree) if name.split(".")[0] in IMPURE_MODULES)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
                yield f"{node.func.id}()"
            if isinstance(node.func, ast.Attribute) and node.func.attr in IMPURE_ATTRIBUTES:
                yield f".{node.func.attr}()"
        if isinstance(node, ast.AsyncFunctionDef | ast.Await):
            yield "async"


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_point_one_way(package: str) -> None:
    found = modules(f"{package}/")
    assert found
    for path in found:
        wrong = {name for name in imported(ast.parse(path.read_text())) if name.split(".")[0] in FORBIDDEN[package]}
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize("place", PURE)
def test_the_pure_parts_have_no_io_clock_or_chance(place: str) -> None:
    for path in modules(place):
        wrong = list(impurities(ast.parse(path.read_text())))
        assert not wrong, f"{path.relative_to(ROOT)} uses {wrong}"


def test_the_protocol_imports_no_other_part_of_the_connector() -> None:
    for path in modules("connector/protocol/"):
        names = {name for name in imported(ast.parse(path.read_text())) if name.startswith("connector")}
        wrong = {name for name in names if not name.startswith("connector.protocol")}
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize(
    "code",
    ["import os", "from time import sleep", "open('x')", "datetime.now()", "async def f(): pass", "import uuid as u"],
)
def test_the_check_sees_what_it_looks_for(code: str) -> None:
    assert list(impurities(ast.parse(code)))
