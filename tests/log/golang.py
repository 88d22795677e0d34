"""The programs of others that read the log: built once a session out of what is published, and run with a time-out."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.requirement import missing

FSCK = "github.com/transparency-dev/tessera/cmd/fsck@v1.0.4"
SOURCE = Path(__file__).parent / "go"
BUILD_TIMEOUT_S = 300
RUN_TIMEOUT_S = 60
# From here on Go fetches by itself the version that a module asks for; an older one has to be told.
OLDEST_GO = (1, 21)
NEWER_GO = "golang.org/toolchain@v0.0.1-go1.24.0.linux-{}"


@dataclass(frozen=True)
class Programs:
    """Where they stand."""

    fsck: Path
    check: Path


@dataclass(frozen=True)
class Found:
    """What a program says that the log is: only its line of success counts, never how it ended."""

    size: int
    root: str


def built(folder: Path) -> Programs:
    """Both programs; skips the test where there is no Go."""
    go = shutil.which("go")
    if go is None:
        missing("Go is not installed")
    environment = {**os.environ, "GOBIN": str(folder), "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "auto"}
    version = re.search(r"go(\d+)\.(\d+)", _run([go, "version"], RUN_TIMEOUT_S, environment).stdout)
    assert version is not None
    if (int(version[1]), int(version[2])) < OLDEST_GO:
        go = _newer(go, folder)
        environment.pop("GOROOT", None)
    programs = Programs(folder / "fsck", folder / "check")
    for command in ([go, "install", FSCK], [go, "build", "-C", str(SOURCE), "-o", str(programs.check), "."]):
        done = _run(command, BUILD_TIMEOUT_S, environment)
        assert done.returncode == 0, done.stderr
    return programs


def _newer(go: str, folder: Path) -> str:
    """The program of a newer Go, which is published as a module, too: its files are as in one, not yet as they are run."""
    environment = {key: value for key, value in os.environ.items() if key != "GOTOOLCHAIN"}
    architecture = _run([go, "env", "GOARCH"], RUN_TIMEOUT_S, environment).stdout.strip()
    done = _run([go, "mod", "download", "-json", NEWER_GO.format(architecture)], BUILD_TIMEOUT_S, environment)
    assert done.returncode == 0, done.stderr
    newer = folder / "newer"
    shutil.copytree(json.loads(done.stdout)["Dir"], newer, copy_function=shutil.copyfile)
    for path in (newer, *newer.rglob("*")):
        path.chmod(0o755)
    for path in newer.rglob("_go.mod"):
        path.rename(path.with_name("go.mod"))
    return str(newer / "bin" / "go")


def fsck(program: Path, folder: Path, vkeys: Path) -> Found | None:
    """The published checker of logs. It ends with 0 when it fails, and with one worker it may never end."""
    arguments = [f"--storage_url=file://{folder}/", f"--public_key={vkeys}", "--ui=false", "--logtostderr", "-N", "8", "-v", "1"]
    done = _run([str(program), *arguments], RUN_TIMEOUT_S)
    found = re.search(r"Successfully fsck'd log with size (\d+) and root (\S+)", done.stderr)
    return Found(int(found[1]), found[2]) if found else None


def check(program: Path, *arguments: str | Path) -> Found | None:
    """Our own few lines on golang.org/x/mod."""
    done = _run([str(program), *map(str, arguments)], RUN_TIMEOUT_S)
    found = re.fullmatch(r"holds: size=(\d+) root=(\S+)\n", done.stdout)
    assert (found is None) is (done.returncode != 0), done
    return Found(int(found[1]), found[2]) if found else None


def _run(command: list[str], timeout_s: int, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s, env=environment)
