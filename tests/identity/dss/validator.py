"""Signatures as tools of the law see them: validated by DSS, the library of the European Commission, in a small program.

The program is built once, into `.dss`, from published artifacts.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[2]
WORK: Final = ROOT / ".dss"
SOURCES: Final = (HERE / "pom.xml", HERE / "src/main/java/dss/Main.java")
BUILD_TIMEOUT_S: Final = 900
TIMEOUT_S: Final = 120


class Verdict(NamedTuple):
    """What DSS says of one signature; ``sub`` is ``-`` where there is no sub-indication."""

    file: str
    form: str
    indication: str
    sub: str


def needs() -> str | None:
    """What this machine lacks, in words; None if nothing."""
    lacking = [name for name in ("java", "javac", "mvn") if shutil.which(name) is None]
    return f"not installed here: {', '.join(lacking)} (.ci/run installs them)" if lacking else None


def build() -> None:
    """Build the program unless it is there and its sources are the same. Raises CalledProcessError."""
    stamp, state = WORK / "stamp", hashlib.sha256(b"".join(source.read_bytes() for source in SOURCES)).hexdigest()
    if stamp.exists() and stamp.read_text() == state:
        return
    command = [_program("mvn"), "-q", "-B", "-f", str(SOURCES[0]), f"-Dcheck.directory={WORK}", "package"]
    subprocess.run(command, check=True, timeout=BUILD_TIMEOUT_S, stdin=subprocess.DEVNULL)
    stamp.write_text(state)


def validate(files: Sequence[Path]) -> list[Verdict]:
    """One verdict for each signature, in the order of the files. Raises CalledProcessError."""
    classpath = f"{WORK / 'signature-check-1.jar'}:{WORK / 'lib'}/*"
    command = [_program("java"), "-cp", classpath, "dss.Main", *map(str, files)]
    done = subprocess.run(command, check=True, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return [Verdict(*line.split(" ")) for line in done.stdout.splitlines()]


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(name)
    return found
