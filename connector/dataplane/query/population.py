"""Who is in a delivery: consents, the buyer's own references and pseudonyms, as one table to join the rows with.

The members (trips, or vehicles, of the slice) are found first; the vehicles among them that the ledger knows are streamed past
the bitmaps; the rest is SQL over files in the scratch folder, so that memory does not grow with the fleet. The key goes to the
engine as a parameter, never as text of a query. HMAC is written out as its two hashes: a tenth of the time of a call from Python.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy
import pyarrow
import pyarrow.parquet

from connector.dataplane.plan.model import Plan
from connector.dataplane.query import shape
from connector.dataplane.query.engine import batches, impossible, sql_of, text, write_parquet
from connector.dataplane.query.job import Bits, Job, Population

BLOCK_BYTES: Final = 64
PSEUDONYM_DIGITS: Final = 32
_ALLOWED: Final = pyarrow.schema([("vehicle", pyarrow.string()), ("ordinal", pyarrow.int64()), ("ok", pyarrow.bool_())])
_REFERENCES: Final = pyarrow.schema([("ordinal", pyarrow.int64()), ("reference", pyarrow.string())])
_EPOCHS: Final = {
    # How the number of an epoch is found from an instant, its text, and its first second.
    "day": ("floor({second} / 86400)::BIGINT", "strftime(make_date(1970, 1, 1) + ({n})::INTEGER, '%Y-%m-%d')", "({n}) * 86400"),
    "month": (
        "(year({when}) * 12 + month({when}) - 1)::BIGINT",
        "printf('%04d-%02d', ({n}) // 12, ({n}) % 12 + 1)",
        "epoch_us(make_timestamp(({n}) // 12, ({n}) % 12 + 1, 1, 0, 0, 0)) // 1000000",
    ),
    "year": ("year({when})::BIGINT", "printf('%04d', {n})", "epoch_us(make_timestamp({n}, 1, 1, 0, 0, 0)) // 1000000"),
}
"""UTC calendar."""


def needed(job: Job) -> bool:
    """Whether rows must be joined with who may be in the delivery."""
    people = job.population
    return job.plan.personal or job.plan.consent is not None or people.granted is not None or bool(people.left_out)


def members(backend: Any, job: Job, rows: Any) -> Any | None:
    """The table to join rows with: ``vehicle``, ``trip`` where trips count, ``epoch`` where pseudonyms have one, the ends of
    trips where they are cut off, and of people ``ordinal``, ``pseudonym``, ``trip_pseudonym``, ``reference``."""
    plan = job.plan
    if not needed(job):
        if not shape.is_cut(plan):
            return None
        return _ends(backend, job, rows)
    if plan.personal and len(job.population.key) != PSEUDONYM_DIGITS * 2:
        raise impossible("pseudonyms need a key")
    if plan.consent is not None and job.population.granted is None:
        raise impossible("the plan needs consents, and none were read")
    if plan.enrolled and job.population.references is None:
        raise impossible("the plan is for enrolled vehicles, and no enrolments were read")
    found = _ends(backend, job, rows)
    _known(backend, job)
    path = _scratch(job, "members.parquet")
    backend.con.execute("CREATE TEMP TABLE pads (inner_pad BLOB, outer_pad BLOB)")
    backend.con.execute("INSERT INTO pads VALUES (?, ?)", list(_pads(job.population.key)))
    strict = plan.consent is not None or plan.enrolled or job.population.granted is not None
    write_parquet(backend, _members_sql(plan, found.columns, strict=strict), path)
    backend.con.execute("DROP TABLE pads")
    return backend.read_parquet(path, table_name="carnet_members")


def allowed(people: Population) -> tuple[Any, bool] | None:
    """A bit for each ordinal that may be in the delivery (least significant first), and whether others may. None: all may."""
    if people.granted is None and people.references is None and not people.left_out:
        return None
    sets = [_union(bits) for bits in people.granted or ()]
    if people.references is not None:
        sets.append(_of(tuple(ordinal for ordinal, _ in people.references)))
    if not sets:
        size = max(people.left_out, default=0) // 8 + 1
        bits, others = numpy.full(size, 255, numpy.uint8), True
    else:
        size = min(len(found) for found in sets)
        bits, others = sets[0][:size].copy(), False
        for found in sets[1:]:
            bits &= found[:size]
    _put(bits, tuple(ordinal for ordinal in people.left_out if ordinal // 8 < size), on=False)
    return bits, others


def _union(granted: tuple[Bits, ...]) -> Any:
    """The ordinals that are in one of the sets."""
    sets = [_read(bits) for bits in granted]
    whole = numpy.zeros(max((len(found) for found in sets), default=0), numpy.uint8)
    for found in sets:
        whole[: len(found)] |= found
    return whole


def _read(bits: Bits) -> Any:
    stored = numpy.fromfile(bits.file, numpy.uint8) if bits.file else numpy.zeros(0, numpy.uint8)
    size = max(len(stored), *(ordinal // 8 + 1 for ordinal in (*bits.added, 0)))
    found = numpy.zeros(size, numpy.uint8)
    found[: len(stored)] = stored
    _put(found, bits.added, on=True)
    _put(found, bits.taken, on=False)
    return found


def _of(ordinals: tuple[int, ...]) -> Any:
    return _read(Bits(added=ordinals))


def _put(bits: Any, ordinals: tuple[int, ...], *, on: bool) -> None:
    if not ordinals:
        return
    which = numpy.array(ordinals, numpy.int64)
    which = which[which // 8 < len(bits)]
    masks = numpy.left_shift(numpy.uint8(1), (which % 8).astype(numpy.uint8))
    if on:
        numpy.bitwise_or.at(bits, which // 8, masks)
    else:
        numpy.bitwise_and.at(bits, which // 8, ~masks)


def test(found: tuple[Any, bool] | None, ordinals: Any) -> Any:
    """Which of these ordinals may be in the delivery."""
    if found is None:
        return numpy.ones(len(ordinals), bool)
    bits, others = found
    inside = ordinals < len(bits) * 8
    safe = numpy.where(inside, ordinals, 0)
    if not len(bits):
        return numpy.full(len(ordinals), others)
    on = (bits[safe >> 3] >> (safe & 7).astype(numpy.uint8)) & 1
    return numpy.where(inside, on.astype(bool), others)


def _scratch(job: Job, name: str) -> str:
    return os.path.join(job.scratch, name)


def _ends(backend: Any, job: Job, rows: Any) -> Any:
    """The ends of the trips (or vehicles) that touch the period, in a file."""
    plan = job.plan
    found = shape.ends(rows, plan)
    if plan.after_s is not None:
        found = found.filter(found.last_s >= plan.after_s)
    if plan.before_s is not None:
        found = found.filter(found.first_s < plan.before_s)
    path = _scratch(job, "ends.parquet")
    write_parquet(backend, sql_of(found), path)
    return backend.read_parquet(path, table_name="carnet_ends")


def _known(backend: Any, job: Job) -> None:
    """Make ``carnet_allowed``: vehicles of the slice that the ledger knows and that may be in the delivery, and ordinals."""
    people = job.population
    path = _scratch(job, "allowed.parquet")
    _write(path, _ALLOWED, _chosen(backend, people))
    backend.read_parquet(path, table_name="carnet_allowed")
    path = _scratch(job, "references.parquet")
    pairs = people.references or ()
    columns = [[ordinal for ordinal, _ in pairs], [reference for _, reference in pairs]]
    _write(path, _REFERENCES, iter([pyarrow.record_batch(columns, schema=_REFERENCES)]))
    backend.read_parquet(path, table_name="carnet_references")


def _chosen(backend: Any, people: Population) -> Iterator[Any]:
    found = allowed(people)
    asked = "(SELECT DISTINCT vehicle FROM carnet_ends)"
    if people.ordinals:
        files = "[" + ", ".join(text(path) for path in people.ordinals) + "]"
        known = (
            "SELECT vehicle::VARCHAR AS vehicle, ordinal::BIGINT AS ordinal "  # noqa: S608 - paths of our own, quoted
            f"FROM read_parquet({files}) SEMI JOIN {asked} USING (vehicle)"
        )
        for batch in batches(backend, known):
            yield _marked(batch.column("vehicle"), batch.column("ordinal"), found)
    for start in range(0, len(people.recent), 32_768):
        part = people.recent[start : start + 32_768]
        vehicles = pyarrow.array([vehicle for vehicle, _ in part], pyarrow.string())
        yield _marked(vehicles, pyarrow.array([ordinal for _, ordinal in part], pyarrow.int64()), found)


def _marked(vehicles: Any, ordinals: Any, found: tuple[Any, bool] | None) -> Any:
    """Vehicles with whether they may be in the delivery; those that may not are left away where unknown ones may not either."""
    mask = pyarrow.array(test(found, ordinals.to_numpy()))
    batch = pyarrow.record_batch([vehicles, ordinals, mask], schema=_ALLOWED)
    return batch.filter(mask) if found is not None and not found[1] else batch


def _write(path: str, schema: Any, parts: Iterator[Any]) -> None:
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for part in parts:
            if len(part):
                writer.write_batch(part)


def _pads(key: str) -> tuple[bytes, bytes]:
    """The two paddings of HMAC (RFC 2104) with this key."""
    block = bytes.fromhex(key).ljust(BLOCK_BYTES, b"\0")
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)


def _hmac(message: str) -> str:
    return f"left(sha256(outer_pad || unhex(sha256(inner_pad || encode({message})))), {PSEUDONYM_DIGITS})"


def _members_sql(plan: Plan, columns: Any, *, strict: bool) -> str:
    join = "JOIN" if strict else "LEFT JOIN"
    first, last = _clamped("first_s", plan), _clamped("last_s", plan)
    enrolled = "JOIN" if plan.enrolled else "LEFT JOIN"
    source = "carnet_ends"
    whose, epoch = "vehicle", ""
    if plan.epoch is not None:
        number, name, start = _EPOCHS[plan.epoch]
        begin, end = (number.format(second=at, when=f"make_timestamp(({at}) * 1000000)") for at in (first, last))
        source = f"(SELECT *, unnest(range({begin}, {end} + 1)) AS epoch FROM carnet_ends)"  # noqa: S608 - names of our own
        whose = f"{name.format(n='epoch')} || '|' || vehicle"
        epoch = f"epoch, {start.format(n='epoch')} AS epoch_from_s, {start.format(n='epoch + 1')} AS epoch_to_s, "
    whole_trip = _hmac("'trip|' || vehicle || '|' || trip")
    trip = f", {whole_trip} AS trip_pseudonym" if "trip" in columns else ""
    kept = ", ".join(name for name in columns if name not in {"vehicle", "trip"} and shape.is_cut(plan))
    keys = "vehicle, trip" if "trip" in columns else "vehicle"
    return (
        f"SELECT {keys}, {epoch}{kept + ', ' if kept else ''}ordinal, reference, {_hmac(whose)} AS pseudonym{trip} "  # noqa: S608 - names of our own
        f"FROM {source} {join} carnet_allowed USING (vehicle) "
        f"{enrolled} carnet_references USING (ordinal) CROSS JOIN pads WHERE ok IS NOT FALSE"
    )


def _clamped(name: str, plan: Plan) -> str:
    if name == "first_s":
        return name if plan.after_s is None else f"greatest({name}, {int(plan.after_s)})"
    return name if plan.before_s is None else f"least({name}, {int(plan.before_s) - 1})"


def remove(job: Job) -> None:
    """Take away the files with names of vehicles as soon as they have been used."""
    for name in ("ends.parquet", "allowed.parquet", "references.parquet", "members.parquet"):
        Path(_scratch(job, name)).unlink(missing_ok=True)
