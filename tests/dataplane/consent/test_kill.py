"""A death in the middle of an import leaves what was, or what is; never half of it, and nothing lying about."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from connector.dataplane.consent import ledger as module
from connector.dataplane.consent import placing
from connector.dataplane.consent.ledger import Ledger
from connector.store.engine import Statement
from tests.dataplane.consent.ledgers import asked, entry, ledger_in, let_through, row, write_csv

ROOT = Path(__file__).parents[3]
STEPS = ("before-stage", "after-stage", "in-place", "after-place", "after-folder", "before-commit", "after-commit")
OLD, NEW = [f"A{number:04}" for number in range(500)], [f"B{number:04}" for number in range(2000)]


def die(*_: object) -> None:
    """As if the power went."""
    os.kill(os.getpid(), signal.SIGKILL)


def after(patched: object, name: str, times: int = 1) -> None:
    """Die when a function has returned for the ``times``-th time."""
    before, left = getattr(patched, name), [times]

    def dying(*args: object) -> object:
        result = before(*args)
        left[0] -= 1
        if left[0] == 0:
            die()
        return result

    setattr(patched, name, dying)


def prepare_death(ledger: Ledger, step: str) -> None:
    commit = ledger._records.commit

    async def dying(statements: Sequence[Statement]) -> None:
        if step == "after-commit":
            await commit(statements)
        die()

    match step:
        case "before-stage":
            vars(module)["stage"] = die
        case "after-stage":
            after(module, "stage")
        case "in-place":
            after(placing, "store")
        case "after-place":
            after(module, "place")
        case "after-folder":
            after(module, "settle_folder")
        case _:
            ledger._records.commit = dying


async def child(folder: Path, step: str) -> None:
    async with ledger_in(folder) as ledger:
        prepare_death(ledger, step)
        await ledger.import_file(folder / "in.csv")


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_each_step(tmp_path: Path, step: str) -> None:
    async with ledger_in(tmp_path) as ledger:
        await ledger.import_file(write_csv(tmp_path / "old.csv", [row(name) for name in OLD]))
        await ledger.decide([entry(OLD[0], given=False)])
    gone = [row(name, given="0", text_sha256="") for name in OLD[:100]]
    write_csv(tmp_path / "in.csv", [*gone, *(row(name) for name in NEW), row("new", category="location")])
    code = (
        "import asyncio, importlib.util, pathlib; spec = importlib.util.spec_from_file_location('dying', "
        f"{__file__!r}); module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module); "
        f"asyncio.run(module.child(pathlib.Path({str(tmp_path)!r}), {step!r}))"
    )
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    async with ledger_in(tmp_path) as ledger:
        number = await ledger.number()
        assert number == (3 if step == "after-commit" else 2)
        seen = await let_through(ledger, asked(), [*OLD, *NEW], None, tmp_path)
        assert seen == ({*OLD[1:]} if number == 2 else {*OLD[100:], *NEW})
        counting = await ledger._records.file_names()
        assert {path.name for path in (tmp_path / "ledger").iterdir()} == {*counting, "lock", "scratch"}
        assert list((tmp_path / "ledger" / "scratch").iterdir()) == []
        again = await ledger.import_file(tmp_path / "in.csv")
        assert again.number == number + 1
        assert await let_through(ledger, asked(), [*OLD, *NEW], None, tmp_path) == {*OLD[100:], *NEW}
        assert len((await ledger.vehicles(range(5000))).values()) == len(OLD) + len(NEW) + 1
