"""Runs a job: from the table to the file, its index and its figures. Blocks; made to run in a process of its own."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec
import pyarrow

from connector.dataplane.plan.model import Plan
from connector.dataplane.query import cells, features, output, population, score, seen, shape
from connector.dataplane.query import rows as single
from connector.dataplane.query.engine import (
    Refused,
    failure,
    impossible,
    open_engine,
    rows_of,
    sql_of,
    watched,
    write_parquet,
)  # fmt: skip
from connector.dataplane.query.job import NOT_ANONYMOUS, Failed, Job, Made
from connector.dataplane.query.unicity import unicity
from connector.dataplane.tables.model import LATITUDE, LONGITUDE, SPEED, Table
from connector.dataplane.tables.read import canonical, verify
from connector.dataplane.tables.refused import SchemaChanged
from policies.lint import MEASURED_LEAST, UNIQUE_MOST

KIB: Final = 1024


def run(job: Job) -> Made | Failed:
    """Make the file of a job. What a failed job wrote is taken away again; ``scratch`` is empty afterwards."""
    found = _tried(job)
    if isinstance(found, Failed) and found.code == "out-of-memory" and job.limits.threads > 1:
        # What threads hold at the same time is what an engine cannot put on the disk: one alone gets along with half.
        return _tried(msgspec.structs.replace(job, limits=msgspec.structs.replace(job.limits, threads=1)))
    return found


def _tried(job: Job) -> Made | Failed:
    try:
        made = _run(job)
        _prove(job, made)
    except SchemaChanged as changed:
        _clear(job, failed=True)
        return Failed("source-changed", changed.reason, changed.column)
    except (Refused, duckdb.Error, OSError, MemoryError, pyarrow.ArrowException) as error:
        _clear(job, failed=True)
        return failure(error)
    _clear(job, failed=False)
    return made


def paths_of(plan: Plan, table: Table) -> frozenset[str]:
    """The signals that the plan needs of the table."""
    found = set(plan.columns)
    if plan.form == "cells":
        found |= {column.path for column in table.mapping.columns if column.type != "text"}
    if plan.form in ("features", "score"):
        found |= {*features.NEEDS}
    if plan.cut_m > 0 or plan.areas or (plan.sensitive != "kept" and table.sensitive) or plan.form == "cells":
        found |= {LATITUDE, LONGITUDE}
    if plan.cell_level is not None and {LATITUDE, LONGITUDE} & found:
        found |= {LATITUDE, LONGITUDE}
    return frozenset(found)


def expression(rows: Any, job: Job, members: Any | None) -> Any:
    """The whole plan, from the rows of the table to what leaves (of cells: to what is kept), as one expression."""
    plan, table = job.plan, job.table
    taking_part = shape.shaped(rows, plan, table, members)
    if plan.form == "rows":
        return single.projected(taking_part, plan, table)
    if plan.form == "cells":
        return cells.parts(taking_part, plan, table, job.released)
    return (features.features if plan.form == "features" else score.score)(taking_part, plan)


def _check(job: Job) -> None:
    plan, table = job.plan, job.table
    shape.check(plan, table)
    if plan.form == "cells":
        cells.check(plan)
    if plan.form in ("features", "score"):
        reason = features.unfit(table.sampling_ms)
        if reason or SPEED not in table.paths:
            raise impossible(reason or "the table has no speed")


def _run(job: Job) -> Made:
    plan = job.plan
    _check(job)
    verify(job.table)
    people = job.population
    bitmaps = [bits.file for sets in people.granted or () for bits in sets if bits.file]
    readable = [*job.table.files, *people.ordinals, *cells.readable(job), *bitmaps]
    writable = [job.output, job.keep] if job.keep else [job.output]
    backend = open_engine(job.limits, job.scratch, readable, writable)
    try:
        with watched(backend, job):
            rows = canonical(backend, job.table, paths_of(plan, job.table))
            members = population.members(backend, job, rows)
            wanted = expression(rows, job, members)
            return _cells(backend, job, wanted) if plan.form == "cells" else _personal(backend, job, wanted)
    finally:
        backend.disconnect()


def _personal(backend: Any, job: Job, wanted: Any) -> Made:
    names = tuple(wanted.columns)
    output.write(backend, sql_of(wanted), names, job.output, job.plan.format)
    if job.output != _measured(job):
        write_parquet(backend, sql_of(wanted), _measured(job))
    key = "pseudonym" if "pseudonym" in names else "trip" if "trip" in names else None
    path = os.path.join(job.scratch, "seen.parquet")
    with seen.Writer(path) as writer:
        rows, digest = output.digest(backend.con, job.output, job.plan.format, writer.add, key)
    vehicles = seen.index(backend, job, path, key)
    span = "SELECT min(first_s), max(last_s) FROM carnet_ends"
    covers = _covers(job, rows_of(backend, span)[0], 1) if job.plan.form == "rows" else None
    return _made(job, names, rows, digest, vehicles, covers=covers)


def _claims(plan: Plan) -> bool:
    """Whether rows are called anonymous."""
    return plan.anonymous and plan.form == "rows"


def _measured(job: Job) -> str:
    """The Parquet file in which rows that are called anonymous are looked at: the output, or one beside it of the same rows."""
    apart = _claims(job.plan) and job.plan.format != "parquet"
    return os.path.join(job.scratch, "measured.parquet") if apart else job.output


def _prove(job: Job, made: Made) -> None:
    """Rows that are called anonymous are: enough are in the file and few of them unique, as publication asks of the table.

    Raises ``Refused``.
    """
    plan = job.plan
    if not _claims(plan):
        return
    found = unicity(
        Path(_measured(job)), level=plan.level, step_s=plan.step_s, cell_level=plan.cell_level, seed=job.table.snapshot
    )
    if found is None or min(found.vehicles, made.vehicles) < MEASURED_LEAST or found.unique > UNIQUE_MOST:
        raise Refused(NOT_ANONYMOUS)


def _cells(backend: Any, job: Job, parts: Any) -> Made:
    plan, table = job.plan, job.table
    path = os.path.join(job.scratch, "parts.parquet")
    write_parquet(backend, sql_of(parts), path)
    stored = backend.read_parquet(path, table_name="carnet_parts")
    kept_path = job.keep or os.path.join(job.scratch, "kept.parquet")
    write_parquet(backend, sql_of(cells.counted(stored, plan, table)), kept_path)
    _fsync(kept_path)
    kept = backend.read_parquet(kept_path, table_name="carnet_kept")
    found = cells.together(backend, kept, job)
    leaving = cells.projected(found, plan, table)
    names = tuple(leaving.columns)
    output.write(backend, sql_of(leaving), names, job.output, plan.format)
    Path(job.index).write_bytes(b"")
    rows, digest = output.digest(backend.con, job.output, plan.format)
    ((suppressed,),) = rows_of(backend, sql_of(found.aggregate(n=found.vehicles.isnull().sum().fill_null(0))))
    enough = kept.filter(kept.vehicles.notnull())
    behind = stored.semi_join(enough, list(cells.KEYS)).vehicle.nunique()
    ((vehicles,),) = rows_of(backend, sql_of(behind.as_table()))
    (span,) = rows_of(backend, sql_of(stored.aggregate(first=stored.step.min(), last=stored.step.max())))
    covers = _covers(job, span, plan.step_s or 1)
    return _made(job, names, rows, digest, int(vehicles), suppressed=int(suppressed), covers=covers)


def _made(
    job: Job,
    names: tuple[str, ...],
    rows: int,
    digest: str,
    vehicles: int,
    *,
    suppressed: int = 0,
    covers: tuple[int, int] | None = None,
) -> Made:
    is_cells = job.plan.form == "cells"
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Made(
        rows=rows,
        bytes=os.path.getsize(job.output),
        sha256=output.sha256_of(job.output),
        rows_digest=digest,
        vehicles=vehicles,
        columns=names,
        cells=rows if is_cells else 0,
        suppressed=suppressed,
        covers=covers,
        input_rows=job.table.rows,
        cpu_s=round(used.ru_utime + used.ru_stime, 3),
        peak_bytes=_peak_bytes(),
    )


def _peak_bytes() -> int:
    """The most memory that this process has had. What `getrusage` says is inherited from whoever started it."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        line = next((line for line in status if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    return int(line.split()[1]) * KIB


def _covers(job: Job, span: tuple[Any, ...], step: int) -> tuple[int, int] | None:
    """The whole steps of the plan's period; where it has no end, of what the table had and, if it has grown since it was looked
    at, of what was read: ``span``, its first and last second (or step)."""
    plan, table = job.plan, job.table
    firsts = [second for second in (table.first_s, span[0]) if second is not None]
    lasts = [second for second in (table.last_s, span[1]) if second is not None]
    after = plan.after_s if plan.after_s is not None else min(firsts, default=None)
    before = plan.before_s if plan.before_s is not None else max(lasts) + 1 if lasts else None
    if after is None or before is None:
        return None
    return after // step * step, -(-before // step) * step


def _fsync(path: str) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _clear(job: Job, *, failed: bool) -> None:
    made = [path for path in (job.output, job.index, job.trips, job.keep) if path] if failed else []
    for path in made:
        Path(path).unlink(missing_ok=True)
    for folder, folders, files in os.walk(job.scratch, topdown=False):
        for name in files:
            Path(folder, name).unlink(missing_ok=True)
        for name in folders:
            Path(folder, name).rmdir()
