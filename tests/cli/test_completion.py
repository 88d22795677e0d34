"""Shells complete commands without importing them; exit codes are those of the page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from connector.cli.errors import EXITS
from connector.cli.main import COMMANDS, cli

ROOT = Path(__file__).parents[2]


def completed(*words: str, loaded: bool = False) -> str:
    """What the shell is told for these words, the last of which is being typed."""
    environ = os.environ | {"_CARNET_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(("carnet", *words))}
    environ |= {"COMP_CWORD": str(len(words)), "PYTHONPATH": str(ROOT)}
    options = ["-X", "importtime"] if loaded else []
    command = [sys.executable, *options, "-m", "connector.cli"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=60)
    return done.stderr if loaded else done.stdout


def test_commands_and_options_are_completed() -> None:
    assert completed("app").split() == ["plain,approvals", "plain,approve"]
    assert completed("contracts", "s").split() == ["plain,show", "plain,signatures"]
    assert "plain,--here" in completed("transfer", "--h").split()
    assert set(completed("").split()) == {f"plain,{name}" for name in COMMANDS}


def test_no_command_is_imported_to_complete_its_name() -> None:
    imported = completed("app", loaded=True)
    assert "connector.cli.errors" in imported
    assert "aiohttp" not in imported


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(shell: str) -> None:
    done = CliRunner().invoke(cli, ["completion", shell])
    assert (done.exit_code, "_CARNET_COMPLETE=" in done.stdout) == (0, True)


def test_the_script_is_one_of_the_shell() -> None:
    script = CliRunner().invoke(cli, ["completion", "bash"]).stdout
    subprocess.run(["bash", "-n"], input=script, text=True, check=True, timeout=60)  # noqa: S607  # from the PATH


def test_exit_codes_are_those_of_the_page() -> None:
    page = (ROOT / "connector" / "README.md").read_text(encoding="utf-8")
    assert {int(code): text for code, text in re.findall(r"^\| (\d+) \| (.*) \|$", page, re.M)} == EXITS
    told = " ".join(CliRunner().invoke(cli, ["--help"]).stdout.split())
    assert all(f"{code}: {text}" in told for code, text in EXITS.items())


def test_what_init_has_made_can_be_read_by_programs(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["init", str(tmp_path / "us"), "--participant-id", "did:web:us", "--json"])
    made = json.loads(done.stdout)
    assert (made["participantId"], Path(made["settings"]).exists()) == ("did:web:us", True)
    assert (tmp_path / "us" / "operator.key").read_text().strip() == made["key"]
