"""The walkthrough of the README, run as it stands there, on ports that are free; and its examples of settings."""

import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from connector.demo.houses import free_ports
from connector.settings import load

ROOT = Path(__file__).parents[2]
LONGEST_S = 180
PORTS = ("8301", "8302", "8311", "8312")


def commands() -> str:
    """Everything in the blocks between the two marks, with free ports in place of those of the text."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    part = text.partition("<!-- walkthrough -->\n")[2].partition("<!-- end of walkthrough -->")[0]
    script = "".join(re.findall(r"^```bash\n(.*?)^```", part, re.M | re.S))
    assert script.count("carnet ") > 10
    assert set(re.findall(r"(?:port=|%3A|localhost:|127\.0\.0\.1:)(\d{2,5})", script)) == set(PORTS)
    for port, free in zip(PORTS, free_ports(len(PORTS)), strict=True):
        script = script.replace(port, str(free))
    return script


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the two programs that the walkthrough calls, as they are here."""
    folder = tmp_path / "bin"
    folder.mkdir()
    python = shlex.quote(sys.executable)
    for name, line in (("carnet", f'exec {python} -m connector.cli "$@"'), ("python3", f'exec {python} "$@"')):
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    return folder


def test_the_walkthrough_works(programs: Path, tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CARNET_")}
    environ |= {"PATH": f"{programs}:{environ['PATH']}", "PYTHONPATH": str(ROOT)}
    place = tmp_path / "walk"
    place.mkdir()
    walk = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", commands()],  # noqa: S607  # from the PATH
        cwd=place,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said, errors = walk.communicate(timeout=LONGEST_S)
    finally:
        # Whatever a walk that broke off has left running.
        with suppress(ProcessLookupError):
            os.killpg(walk.pid, signal.SIGKILL)
        walk.wait()
    assert walk.returncode == 0, f"{said}\n{errors}"
    for line in (
        r"^nothing is on offer$",
        r"^did:web:localhost%3A\d+ +unverified",
        r"^fine     data plane: is ready$",
        r"^fine     own DID: http://localhost:\d+/\.well-known/did\.json has our OAuth key",
        r"^fine     peer did:web:localhost%3A\d+: http://localhost:\d+/dsp/2025-1 answers$",
        r"^  The purpose is a kind of mobility planning\. — enforced at: negotiation, transfer$",
        r"^    The price is 4900\.00 EUR\. — evidenced by: ",
        r"^  nobody has vouched for the participant, and the dataset is not open to all$",
        r"^urn:example:trips: Trips of our fleet$",
        r"^    Permis : utiliser les données\.$",
        r"^not without a purpose$",
        r"^Agreement urn:uuid:",
        r"^  state FINALIZED$",
        r"^  state COMPLETED$",
        r"^  file .*/walk/city/received/trips\.csv$",
        r"^not decided yet$",
        r"^    Added: Permitted: sell the data\.",
        r"^  waits for a person: decide-counter-offer, until \d{4}-",
        r"^    Added: .*In return: delete the data\. The time since the contract is at most 2 years\.",
        r"^  waits for a person: decide-offer",
        r"sent TERMINATION",
        r"^not answered$",
    ):
        assert re.search(line, said, re.M), f"{line}\n{said}"
    assert "FINALIZED\n" in errors
    assert "you are suspended here: a key of yours was reported stolen" in errors


EXAMPLES = re.findall(r"^```toml\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_of_settings_are_settings(number: int, tmp_path: Path) -> None:
    """Each is a whole file, but for who we are."""
    text = EXAMPLES[number]
    file = tmp_path / "carnet.toml"
    file.write_text(text if text.startswith("participant_id") else f'participant_id = "did:web:us.example"\n\n{text}')
    assert load(file, {}).participant_id.startswith("did:web:")
