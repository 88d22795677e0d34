"""How fast two connectors are, beside a floor of the same run: `python -m tests.bench.run_bench [--smoke] [--json FILE]`.

How to read it: machines and disks differ and so do minutes on the same machine, so no figure means much alone. The floor is two
bare aiohttp processes with the same number of round trips, of bodies of the same length, and of durable commits (`floor.py`);
it is measured before and after the connectors, and the mean counts. `ratio` is connector / floor for times and CPU and
floor / connector for rates: 1.0 would be a connector that costs nothing. CPU is of the control processes alone, consumer +
provider. Latency is from the owner's call to FINALIZED in both databases, which are looked at every half millisecond.

`--auth pinned-token` measures the same without tokens that are bound to keys, to see what these cost.

What governing a delivery costs is measured after that: see `governed.py`, which goes on to full sizes by itself with `--full`.
What the contract log costs comes last: see `contract_log.py`.

`--smoke` is short and only shows that everything works. It ends with 1 if a negotiation did not end, never for a figure.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, get_args

import click
import msgspec

ROOT: Final = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from tests.bench import authenticate, contract_log, governed, measure  # noqa: E402 - the path is set above when this is run as a script
from tests.bench.authenticate import Cost  # noqa: E402
from tests.bench.governed import Amount  # noqa: E402
from tests.bench.measure import Idle, Load  # noqa: E402
from tests.bench.pairs import Auth, connectors, floors  # noqa: E402

# Lengths of the bodies of a negotiation: request, agreement, verification, finalization; and of the answers.
NEGOTIATION: Final = (430, 487, 287, 306), (236, 0, 0, 0)
# The start of a transfer: request, the order to the data plane, start; seven commits, of which one is the data plane's.
TRANSFER: Final = (352, 363, 658), (232, 451, 0)
LATENCY_AIM: Final = 3.0
RATE_AIM_PER_S: Final = 200.0
IDLE_AIM_PERCENT: Final = 1.0


class Plan(msgspec.Struct, frozen=True):
    """How much of everything."""

    latency: int
    rates: tuple[tuple[int, int], ...]
    transfers: int
    open: int
    idle_s: float
    callers: int
    governed: Amount
    log: contract_log.Amount


SMOKE: Final = Plan(20, ((10, 60), (100, 150)), 10, 300, 3.0, 100, governed.SMOKE, contract_log.SMOKE)
FULL: Final = Plan(200, ((10, 1000), (100, 2000)), 100, 10_000, 20.0, 2000, governed.USUAL, contract_log.FULL)


class Figures(msgspec.Struct, frozen=True):
    """What one kind of pair did. `idle` is None where there was nothing open."""

    loads: tuple[Load, ...]
    transfer_ms: tuple[float, float]
    memory_mib: tuple[float, float]


class Report(msgspec.Struct, frozen=True):
    """Everything of one run."""

    about: dict[str, str]
    floor: Figures
    connector: Figures
    floor_idle: Idle
    idle: Idle
    recognition: Cost
    governed: governed.Report
    log: contract_log.Report


async def measure_floor(folder: Path, plan: Plan) -> tuple[Figures, Idle]:
    """The floor's figures, and what it needs when nothing happens."""
    async with floors(folder / "negotiation", *NEGOTIATION) as pair:
        await measure.at_once(pair, 20, 5)
        loads = [await measure.one_at_a_time(pair, plan.latency)]
        loads += [await measure.at_once(pair, count, in_flight) for in_flight, count in plan.rates]
        rest = await measure.rest(pair, 0, min(plan.idle_s, 5.0))
    async with floors(folder / "transfer", *TRANSFER) as pair:
        await measure.at_once(pair, 5, 1)
        timed = await measure.one_at_a_time(pair, plan.transfers)
    return Figures(tuple(loads), (timed.p50_ms or 0.0, timed.p95_ms or 0.0), rest.memory_mib), rest


async def measure_connectors(folder: Path, plan: Plan, auth: Auth) -> tuple[Figures, Idle]:
    """The connectors' figures, and what they need with many negotiations open."""
    async with connectors(folder / "busy", auth=auth) as pair:
        await measure.at_once(pair, 20, 5)
        loads = [await measure.one_at_a_time(pair, plan.latency)]
        loads += [await measure.at_once(pair, count, in_flight) for in_flight, count in plan.rates]
        transfer_ms = await measure.transfer_starts(pair, plan.transfers)
        figures = Figures(tuple(loads), transfer_ms, (pair.consumer.memory_mib(), pair.provider.memory_mib()))
    async with connectors(folder / "idle", auth=auth, decide="manual") as pair:
        return figures, await measure.idle(pair, plan.open, plan.idle_s)


async def run(plan: Plan, auth: Auth) -> Report:
    """One whole run. Raises Stuck if not everything that was begun has ended."""
    with tempfile.TemporaryDirectory(prefix="carnet-bench-") as name:
        folder = Path(name)
        about = {**surroundings(folder), "callers identify by": auth}
        first, _ = await measure_floor(folder / "first", plan)
        figures, idle = await measure_connectors(folder / "carnet", plan, auth)
        second, rest = await measure_floor(folder / "second", plan)
    # In a thread, as it runs loops of its own; it counts the time of the whole process, in which nothing else happens then.
    recognition = await asyncio.to_thread(authenticate.measured, plan.callers)
    deliveries = await asyncio.to_thread(governed.measured, plan.governed)
    log = await asyncio.to_thread(contract_log.measured, plan.log)
    about["load average"] = (
        f"{about['load average']} before, {os.getloadavg()[0]:.1f} after (the bench itself keeps about 3 processes busy)"
    )
    return Report(about, _mean(first, second), figures, rest, idle, recognition, deliveries, log)


def surroundings(folder: Path) -> dict[str, str]:
    """Machine, versions and commit; and what one durable write of 4 KiB costs here, in ms."""
    cpu = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "?"
    )
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - from the PATH
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit.stdout.strip() or "unknown",
        "machine": f"{os.cpu_count()} x {cpu}, {platform.system()} {platform.release()}",
        "versions": f"Python {platform.python_version()}, aiohttp {version('aiohttp')}, SQLite {sqlite3.sqlite_version}",
        "durable write": f"{_durable_write_ms(folder):.2f} ms for 4 KiB",
        "load average": f"{os.getloadavg()[0]:.1f}",
    }


def _durable_write_ms(folder: Path) -> float:
    target = os.open(folder / "write", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        began = time.perf_counter()
        for _ in range(100):
            os.write(target, b"x" * 4096)
            os.fdatasync(target)
        return (time.perf_counter() - began) * 10
    finally:
        os.close(target)


def _mean(first: Figures, second: Figures) -> Figures:
    def pair(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
        return (one[0] + other[0]) / 2, (one[1] + other[1]) / 2

    loads = tuple(
        Load(
            one.at_once,
            one.count + other.count,
            (one.per_s + other.per_s) / 2,
            pair(one.cpu_ms, other.cpu_ms),
            None if one.p50_ms is None or other.p50_ms is None else (one.p50_ms + other.p50_ms) / 2,
            None if one.p95_ms is None or other.p95_ms is None else (one.p95_ms + other.p95_ms) / 2,
        )
        for one, other in zip(first.loads, second.loads, strict=True)
    )
    return Figures(loads, pair(first.transfer_ms, second.transfer_ms), pair(first.memory_mib, second.memory_mib))


def lines(report: Report) -> list[str]:
    """The report as lines for people, in Markdown."""
    ours, floor = report.connector, report.floor
    shown = [f"- {name}: {text}" for name, text in report.about.items()]
    shown += ["", "| figure | connector | floor | ratio |", "| --- | ---: | ---: | ---: |"]
    for load, bare in zip(ours.loads, floor.loads, strict=True):
        many = f"{load.at_once} at once"
        if load.p50_ms and load.p95_ms and bare.p50_ms and bare.p95_ms:
            shown.append(_row("negotiation p50, one at a time", load.p50_ms, bare.p50_ms, "ms"))
            shown.append(_row("negotiation p95, one at a time", load.p95_ms, bare.p95_ms, "ms"))
        shown.append(_row(f"CPU of both for one negotiation, {many}", load.cpu_both_ms, bare.cpu_both_ms, "ms"))
        rate = f"| negotiations, {many} | {load.per_s:.0f} /s | {bare.per_s:.0f} /s | {bare.per_s / load.per_s:.1f} |"
        shown.append(rate)
    shown.append(_row("transfer start p50", ours.transfer_ms[0], floor.transfer_ms[0], "ms"))
    shown.append(_row("transfer start p95", ours.transfer_ms[1], floor.transfer_ms[1], "ms"))
    idle, rest = report.idle, report.floor_idle
    for at, side in enumerate(("consumer", "provider")):
        shown.append(f"| {side} idle, {idle.open} open | {idle.cpu_percent[at]:.2f} % | {rest.cpu_percent[at]:.2f} % | |")
        shown.append(_row(f"memory of the {side} after the load", ours.memory_mib[at], floor.memory_mib[at], "MiB"))
        shown.append(f"| memory of the {side}, {idle.open} open | {idle.memory_mib[at]:.0f} MiB | | |")
    return [*shown, "", *_aims(report), "", *report.recognition.lines(), "", *report.governed.lines(), "", *report.log.lines()]


def _row(what: str, ours: float, floor: float, unit: str) -> str:
    return f"| {what} | {ours:.1f} {unit} | {floor:.1f} {unit} | {ours / max(floor, 0.001):.1f} |"


def _aims(report: Report) -> list[str]:
    first, bare = report.connector.loads[0], report.floor.loads[0]
    ratio = (first.p50_ms or 0.0) / max(bare.p50_ms or 0.0, 0.001)
    best = max(load.per_s for load in report.connector.loads)
    idle = max(report.idle.cpu_percent)
    return [
        f"- p50 within {LATENCY_AIM:g} x the floor: {ratio:.1f} x: {_verdict(ratio <= LATENCY_AIM)}",
        f"- {RATE_AIM_PER_S:g} negotiations a second: {best:.0f}: {_verdict(best >= RATE_AIM_PER_S)}",
        f"- below {IDLE_AIM_PERCENT:g} % of a core, {report.idle.open} open: {idle:.2f} %: {_verdict(idle < IDLE_AIM_PERCENT)}",
    ]


def _verdict(reached: bool) -> str:
    return "ok" if reached else "missed"


@click.command()
@click.option("--smoke", is_flag=True, help="A short run that only shows that everything works.")
@click.option("--auth", type=click.Choice(get_args(Auth)), default="oauth", help="How the connectors know each other.")
@click.option("--json", "target", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures there, too.")
def main(smoke: bool, auth: Auth, target: Path | None) -> None:
    """Measure two connectors and the floor."""
    try:
        report = asyncio.run(run(SMOKE if smoke else FULL, auth))
    except measure.Stuck as error:
        raise click.ClickException(str(error)) from error
    click.echo("\n".join(lines(report)))
    if target is not None:
        target.write_bytes(msgspec.json.format(msgspec.json.encode(report)))


if __name__ == "__main__":
    main()
