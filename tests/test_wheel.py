"""What is built works where it is installed, away from the checkout."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from tests.requirement import missing

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
DATA_SUFFIXES = {".sql", ".json", ".jsonld", ".toml", ".csv", ".css", ".js", ".typed"}
STEP_TIMEOUT_S = 100
OLDEST_SETUPTOOLS = 77


def run(*command: str | Path, cwd: Path) -> str:
    quiet = {key: value for key, value in os.environ.items() if not key.startswith(("CARNET_", "PYTHON"))}
    done = subprocess.run(command, cwd=cwd, env=quiet, capture_output=True, text=True, check=False, timeout=STEP_TIMEOUT_S)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the checkout."""
    if int(metadata.version("setuptools").split(".")[0]) < OLDEST_SETUPTOOLS:
        missing(f"setuptools {OLDEST_SETUPTOOLS} or later is not installed here; `make test` installs it")
    source = tmp_path_factory.mktemp("source")
    for package in ("connector", "policies", "catalog"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--skip-dependency-check", cwd=source)
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a new environment, which takes its dependencies from the one that runs the tests."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    # Comes after the environment's own packages, and brings no editable installation with it.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def test_the_wheel_has_every_module_and_every_data_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        packed = set(opened.namelist())
    expected = {
        path.relative_to(ROOT).as_posix()
        for package in ("connector", "policies", "catalog")
        for path in (ROOT / package).rglob("*")
        if path.suffix in DATA_SUFFIXES | {".py"}
    }
    assert expected <= packed
    assert {name.split("/")[0] for name in packed} == {"connector", "policies", "catalog", f"carnet-{VERSION}.dist-info"}
    assert f"carnet-{VERSION}.dist-info/licenses/LICENSE" in packed


def test_the_console_script_says_its_version(installed: Path, tmp_path: Path) -> None:
    assert run(installed / "carnet", "--version", cwd=tmp_path).strip() == f"carnet, version {VERSION}"


def test_what_runs_is_what_was_installed(installed: Path, tmp_path: Path) -> None:
    where = run(installed / "python", "-c", "import connector; print(connector.__file__)", cwd=tmp_path)
    assert installed.parent in Path(where.strip()).parents


def test_a_house_can_be_made_and_examined(installed: Path, tmp_path: Path) -> None:
    run(installed / "carnet", "init", "house", "--participant-id", "did:web:us", cwd=tmp_path)
    settings = tmp_path / "house" / "carnet.toml"
    # The default ports may be in use on a developer's machine.
    settings.write_text(re.sub(r"^# (\w*port) = \d+$", r"\1 = 0", settings.read_text(), flags=re.M))
    run(installed / "carnet", "doctor", "--config", settings, cwd=tmp_path)


def test_the_demo_runs(installed: Path, tmp_path: Path) -> None:
    assert "Everything held." in run(installed / "carnet", "demo", "--folder", tmp_path / "demo", cwd=tmp_path)
