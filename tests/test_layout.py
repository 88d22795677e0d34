"""The shape of the house: what stands at the top, and how large and how named a module may be."""

import ast
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP = {
    ".ci", ".gitignore", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "catalog",
    "connector", "examples", "policies", "pyproject.toml", "requirements-dev.txt", "requirements.txt", "tests",
}  # fmt: skip
PACKAGES = ("connector/", "policies/", "catalog/")
NAMELESS = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc", "base"}
MAX_LINES = 450
# Longer for a reason.
LONGER = {"connector/protocol/states.py": 700}  # two literal tables, which are read row by row
MAX_FILE_BYTES = 1 << 20


@cache
def files() -> tuple[str, ...]:
    """Every file of the project, as version control has it or would take it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607  # from the PATH
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("this is no checkout")
    return tuple(name for name in listed.stdout.splitlines() if (ROOT / name).exists())


def test_the_top_is_as_the_architecture_says() -> None:
    assert {name.split("/")[0] for name in files()} <= TOP


def test_no_module_has_a_name_without_meaning() -> None:
    assert not [name for name in files() if Path(name).stem in NAMELESS]


def test_modules_fit_in_a_head() -> None:
    for name in files():
        if name.endswith(".py"):
            lines = len((ROOT / name).read_text().splitlines())
            assert lines <= LONGER.get(name, MAX_LINES), f"{name} has {lines} lines; split it"


def test_no_file_is_large() -> None:
    for name in files():
        assert (ROOT / name).stat().st_size <= MAX_FILE_BYTES, name


def test_every_module_says_what_it_owns() -> None:
    for name in files():
        if name.startswith(PACKAGES) and name.endswith(".py"):
            assert ast.get_docstring(ast.parse((ROOT / name).read_text())), f"{name} has no docstring"


def test_every_package_is_one_and_typed() -> None:
    folders = {Path(name).parent for name in files() if name.startswith(PACKAGES) and name.endswith(".py")}
    for folder in folders:
        assert (ROOT / folder / "__init__.py").exists(), folder
    for package in PACKAGES:
        assert f"{package}py.typed" in files()


def test_tests_are_no_packages() -> None:
    assert not [name for name in files() if name.startswith("tests/") and name.endswith("__init__.py")]
