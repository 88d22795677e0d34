"""The commands of the README and of the walkthrough, run as they stand there on ports that are free; and examples of settings."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from connector.demo.houses import free_ports
from connector.settings import load

ROOT = Path(__file__).parents[2]
LONGEST_S = 180
PORTS_EACH = 3


def commands(document: str, mark: str) -> str:
    """Everything in the blocks between two marks of a document."""
    text = (ROOT / document).read_text(encoding="utf-8")
    part = text.partition(f"<!-- {mark} -->\n")[2].partition(f"<!-- end of {mark} -->")[0]
    return "".join(re.findall(r"^```bash\n(.*?)^```", part, re.M | re.S))


def on_free_ports(script: str) -> str:
    """The script with free ports in place of its own: 8301 and 8311, each with the two after it."""
    used = set(re.findall(r"(?:port=|%3A|localhost:|127\.0\.0\.1:|--loopback |--beside )(\d{2,5})", script))
    assert {"8301", "8311"} <= used <= {"8301", "8302", "8303", "8311", "8312", "8313"}
    for port, free in zip((8301, 8311), free_places(2), strict=True):
        for after in range(PORTS_EACH):
            script = script.replace(str(port + after), str(free + after))
    return script


def free_places(count: int) -> list[int]:
    """Ports that are free together with the two after each."""
    found: list[int] = []
    while len(found) < count:
        port = free_ports(1)[0]
        if any(abs(port - other) < PORTS_EACH for other in found):
            continue
        with suppress(OSError), ExitStack() as held:
            for after in range(1, PORTS_EACH):
                held.enter_context(closing(socket.create_server(("127.0.0.1", port + after))))
            found.append(port)
    return found


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


def walked(script: str, programs: Path, place: Path) -> tuple[str, str]:
    """What the script said on both streams, run in a new folder that has the examples; it must end with 0."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CARNET_")}
    environ |= {"PATH": f"{programs}:{environ['PATH']}", "PYTHONPATH": str(ROOT)}
    place.mkdir()
    (place / "examples").symlink_to(ROOT / "examples")
    walk = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],  # noqa: S607  # from the PATH
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
    return said, errors


def test_the_first_ten_commands_work(programs: Path, tmp_path: Path) -> None:
    script = commands("README.md", "ten commands")
    assert len(re.findall(r"^carnet ", script, re.M)) == 10
    more = "\nhead -n 2 city/received/flow.csv\nkill %1 %2\nwait\n"
    said, _ = walked(on_free_ports(script) + more, programs, tmp_path / "walk")
    for line in (
        r"^  \d+ rows of 135 vehicles, one each 1 s$",
        r"^  Only cells of at least 5 distinct vehicles\.$",
        r"^nothing is on offer$",
        r"^  state FINALIZED$",
        r"^  [1-9]\d* rows, [1-9]\d* suppressed$",
        r"  countersigned  consumer  ",
        r"^cell,latitude,longitude,time,vehicles,Vehicle\.Speed$",
    ):
        assert re.search(line, said, re.M), f"{line}\n{said}"


def test_the_walkthrough_works(programs: Path, tmp_path: Path) -> None:
    said, errors = walked(on_free_ports(commands("examples/README.md", "walkthrough")), programs, tmp_path / "walk")
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


EXAMPLES = re.findall(r"^```toml\n(.*?)^```", (ROOT / "connector/README.md").read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_of_settings_are_settings(number: int, tmp_path: Path) -> None:
    """Each is a whole file, but for who we are."""
    text = EXAMPLES[number]
    file = tmp_path / "carnet.toml"
    file.write_text(text if text.startswith("participant_id") else f'participant_id = "did:web:us.example"\n\n{text}')
    assert load(file, {}).participant_id.startswith("did:web:")
