"""Vehicles and earlier imports, looked up in the ledger's files. Blocks; for threads. May import the engine and the values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from connector.dataplane.consent.bits import Whole
from connector.dataplane.consent.engine import OWN, exact, guarded, literal, opened, settle_file
from connector.dataplane.consent.model import DECIDERS, Key, Noted


@guarded(OWN)
def find(files: Sequence[Path], vehicles: Sequence[str], scratch: Path) -> dict[str, int]:
    """The ordinals of vehicles."""
    with opened(scratch) as connection:
        # Named for a few, so that only their part of each sorted file is read.
        rows = connection.execute(
            "SELECT vehicle, ordinal FROM read_parquet($files) WHERE vehicle IN (SELECT unnest($vehicles))"
            " AND vehicle BETWEEN $first AND $last",
            {"files": exact(files), "vehicles": list(vehicles), "first": min(vehicles), "last": max(vehicles)},
        ).fetchall()
    return {str(vehicle): int(ordinal) for vehicle, ordinal in rows}


@guarded(OWN)
def names(files: Sequence[Path], ordinals: Iterable[int], scratch: Path) -> dict[int, str]:
    """The vehicles of ordinals."""
    chosen = sorted(set(ordinals))
    with opened(scratch) as connection:
        rows = connection.execute(
            "SELECT ordinal, vehicle FROM read_parquet($files) WHERE ordinal IN (SELECT unnest($ordinals::UINTEGER[]))"
            " AND ordinal BETWEEN $first AND $last",
            {"files": exact(files), "ordinals": chosen, "first": chosen[0], "last": chosen[-1]},
        ).fetchall()
    return {int(ordinal): str(vehicle) for ordinal, vehicle in rows}


@guarded(OWN)
def imported(files: Sequence[Path], ordinal: int, keys: Mapping[int, Key], limit: int, scratch: Path) -> list[Noted]:
    """What earlier imports said about a vehicle, newest first."""
    with opened(scratch) as connection:
        rows = connection.execute(
            "SELECT number, key_id, given, decided_by, text_sha256, at_ms FROM read_parquet($files) WHERE ordinal = $ordinal"
            " ORDER BY number DESC, key_id, at_ms DESC LIMIT $limit",
            {"files": exact(files), "ordinal": ordinal, "limit": limit},
        ).fetchall()
    return [
        Noted(
            number=number,
            given=given,
            decided_by=DECIDERS[decider],
            text_sha256=bytes(text).hex() or None,
            at=at_ms,
            **msgspec.structs.asdict(keys[key_id]),
        )
        for number, key_id, given, decider, text, at_ms in rows
    ]


@guarded(OWN)
def concerned(files: Sequence[Path], scratch: Path) -> Whole:
    """The vehicles (ordinals) that imports are about."""
    with opened(scratch) as connection:
        rows = connection.execute("SELECT DISTINCT ordinal FROM read_parquet(?)", [exact(files)]).fetchnumpy()
    return np.asarray(rows["ordinal"], np.uint32)


@guarded(OWN)
def withdrawals(files: Sequence[Path], ordinals: Iterable[int], scratch: Path) -> dict[tuple[int, int], int]:
    """When earlier imports last withdrew each key (id) of these vehicles."""
    chosen = sorted(set(ordinals))
    with opened(scratch) as connection:
        rows = connection.execute(
            "SELECT key_id, ordinal, max(at_ms) FROM read_parquet($files) WHERE NOT given"
            " AND ordinal IN (SELECT unnest($ordinals::UINTEGER[])) AND ordinal BETWEEN $first AND $last GROUP BY ALL",
            {"files": exact(files), "ordinals": chosen, "first": chosen[0], "last": chosen[-1]},
        ).fetchall()
    return {(int(key_id), int(ordinal)): int(at_ms) for key_id, ordinal, at_ms in rows}


@guarded(OWN)
def write_vehicles(path: Path, recent: Sequence[tuple[str, int]], merged: Sequence[Path], scratch: Path) -> int:
    """A file of vehicles from those in none and those of other files; gives how many."""
    with opened(scratch) as connection:
        connection.execute("CREATE TABLE each_one (vehicle VARCHAR, ordinal UINTEGER)")
        columns = [[each[0] for each in recent], [each[1] for each in recent]]
        connection.execute("INSERT INTO each_one SELECT unnest(?::VARCHAR[]), unnest(?::UINTEGER[])", columns)
        rest = ", ".join(literal(Path(each)) for each in exact(merged))
        more = f" UNION ALL SELECT vehicle, ordinal FROM read_parquet([{rest}])" if merged else ""
        connection.execute(
            f"COPY (SELECT * FROM each_one{more} ORDER BY vehicle) TO {literal(path)} (FORMAT parquet, COMPRESSION zstd)"
        )
        settle_file(path)
        counted = connection.execute("SELECT count(*) FROM read_parquet(?)", [exact([path])]).fetchone()
    return int((counted or (0,))[0])
