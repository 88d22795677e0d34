"""A fleet as one Parquet file, in row groups, with bounded memory: rows are made while the ones before are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connector.demo.fleet.profiles import Profile
from connector.demo.fleet.signals import LATITUDE, LONGITUDE, SCHEMA, SPEED, TRIP, VEHICLE
from connector.demo.fleet.simulation import simulate

GROUP_ROWS: Final = 400_000
"""A row group has about so many rows."""
_SPLIT: Final = (LATITUDE, LONGITUDE)


@dataclass(frozen=True, slots=True)
class Written:
    """What a file holds. ``vehicles``: those with at least one row."""

    rows: int
    vehicles: int
    trips: int
    km: float


def write_parquet(
    path: Path, profile: Profile, vehicles: int, days: int, seed: int, step: Callable[[int], None] = lambda _: None
) -> Written:
    """Write a fleet's rows; columns are VSS paths, see ``signals.SCHEMA``. An existing file is replaced. ``step`` is told of each
    so many more rows."""
    names = [name for name in SCHEMA.names if name not in _SPLIT]
    tally = Tally(profile.step_s)
    with (
        pq.ParquetWriter(
            path,
            SCHEMA,
            compression="zstd",
            compression_level=1,
            use_dictionary=names,
            use_byte_stream_split=list(_SPLIT),
            store_schema=False,  # Arrow's own: without it, readers get plain strings
        ) as writer,
        ThreadPoolExecutor(1) as behind,
    ):
        under_way: Future[None] | None = None
        for group in _groups(simulate(profile, vehicles, days, seed)):
            tally.add(group)
            step(group.num_rows)
            if under_way is not None:
                under_way.result()
            under_way = behind.submit(writer.write_table, group, row_group_size=group.num_rows)
        if under_way is not None:
            under_way.result()
    return tally.total()


class Tally:
    """Counts what goes by; rows come by vehicle, each trip in one batch."""

    def __init__(self, step_s: int) -> None:
        self._step_s, self._rows, self._trips, self._vehicles, self._speed = step_s, 0, 0, 0, 0.0
        self._last: str | None = None

    def add(self, group: Any) -> None:
        """Count a table or a batch."""
        for batch in group.to_batches() if isinstance(group, pa.Table) else [group]:
            self._rows += batch.num_rows
            self._trips += len(pc.unique(batch.column(TRIP).indices))
            seen = pc.unique(batch.column(VEHICLE)).to_pylist()
            self._vehicles += len(seen) - (seen[:1] == [self._last])
            self._last = seen[-1] if seen else self._last
            self._speed += pc.sum(batch.column(SPEED)).as_py() or 0.0

    def total(self) -> Written:
        """What there was."""
        return Written(self._rows, self._vehicles, self._trips, self._speed * self._step_s / 3_600)


def _groups(batches: Iterator[Any]) -> Iterator[Any]:
    """Tables of at least ``GROUP_ROWS`` rows, but for the last."""
    waiting: list[Any] = []
    for batch in batches:
        waiting.append(batch)
        if sum(each.num_rows for each in waiting) >= GROUP_ROWS:
            yield pa.Table.from_batches(waiting, SCHEMA)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting, SCHEMA)
