"""The same trips in the format of the Vehicle Energy Dataset: weekly CSV files, days counted from the first of November 2017.

``DayNum`` is the trip's beginning as the clock of ``zone`` shows it, in days, 1 being the beginning of the first;
``Timestamp(ms)`` counts from there. Numbers stand for vehicles in place of VINs. What is missing is ``NaN``, and that is much:
the header is the data set's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from connector.demo.fleet.chance import Array
from connector.demo.fleet.profiles import Profile
from connector.demo.fleet.signals import CHARGE, LATITUDE, LONGITUDE, OUTSIDE, RPM, SPEED, TIME, TRIP
from connector.demo.fleet.simulation import simulate
from connector.demo.fleet.trips import DAY_S
from connector.demo.fleet.writing import Tally, Written

DAY_ONE: Final = date(2017, 11, 1)
ZONE: Final = "America/Detroit"
HEADER: Final = (
    "DayNum", "VehId", "Trip", "Timestamp(ms)", "Latitude[deg]", "Longitude[deg]", "Vehicle Speed[km/h]", "MAF[g/sec]",
    "Engine RPM[RPM]", "Absolute Load[%]", "Outside Air Temperature[DegC]", "Fuel Rate[L/hr]", "Air Conditioning Power[kW]",
    "Air Conditioning Power[Watts]", "Heater Power[Watts]", "HV Battery Current[A]", "HV Battery SOC[%]",
    "HV Battery Voltage[V]", "Short Term Fuel Trim Bank 1[%]", "Short Term Fuel Trim Bank 2[%]",
    "Long Term Fuel Trim Bank 1[%]", "Long Term Fuel Trim Bank 2[%]",
)  # fmt: skip
_SIGNALS: Final = {
    "Latitude[deg]": LATITUDE,
    "Longitude[deg]": LONGITUDE,
    "Vehicle Speed[km/h]": SPEED,
    "Engine RPM[RPM]": RPM,
    "Outside Air Temperature[DegC]": OUTSIDE,
    "HV Battery SOC[%]": CHARGE,
}
_MISSING: Final = "NaN"


def write_ved(
    folder: Path,
    profile: Profile,
    vehicles: int,
    days: int,
    seed: int,
    zone: str = ZONE,
    step: Callable[[int], None] = lambda _: None,
) -> Written:
    """Write a file for each week, ``VED_<its first day>_week.csv``, to a folder that is made; such files are replaced. ``step``
    is told of each so many more rows."""
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[int, BinaryIO] = {}
    tally = Tally(profile.step_s)
    with ExitStack() as stack:
        for batch in simulate(profile, vehicles, days, seed):
            tally.add(batch)
            step(batch.num_rows)
            for week, table in _by_week(batch, zone):
                if week not in files:
                    files[week] = stack.enter_context((folder / _file_name(week)).open("wb"))
                    files[week].write((",".join(HEADER) + "\n").encode())
                pa_csv.write_csv(table, files[week], pa_csv.WriteOptions(include_header=False, quoting_style="none"))
    return tally.total()


def _file_name(week: int) -> str:
    return f"VED_{DAY_ONE + timedelta(weeks=week):%y%m%d}_week.csv"


def _by_week(batch: Any, zone: str) -> Iterator[tuple[int, Any]]:
    """The rows of each week in the format, by the week in which their trip begins."""
    trip = batch.column(TRIP).indices.to_numpy()
    time_ms = batch.column(TIME).cast(pa.int64()).to_numpy()
    first = np.flatnonzero(np.append(True, np.diff(trip) != 0)) if len(trip) else np.zeros(0, dtype=np.int64)
    row = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(trip))))
    days = np.array([_day_number(ms, zone) for ms in time_ms[first].tolist()])
    names = [name[1:].split("-") for name in batch.column(TRIP).take(pa.array(first)).to_pylist()]
    columns: dict[str, Any] = {
        "DayNum": _decimals(days)[row] if len(first) else np.zeros(0, dtype=str),
        "VehId": np.array([int(vehicle, 16) + 1 for vehicle, _number in names], dtype=np.int64)[row],
        "Trip": np.array([int(number) + 1 for _vehicle, number in names], dtype=np.int64)[row],
        "Timestamp(ms)": time_ms - time_ms[first][row],
    }
    table = pa.table([_cells(batch, columns, name) for name in HEADER], names=list(HEADER))
    weeks = ((days - 1) // 7).astype(np.int64)
    for week in np.unique(weeks).tolist():
        yield week, table.filter(pa.array((weeks == week)[row]))


def _cells(batch: Any, columns: dict[str, Any], name: str) -> Any:
    """One column of the format."""
    if name in columns:
        return pa.array(columns[name])
    if name in _SIGNALS:
        return pc.fill_null(batch.column(_SIGNALS[name]).cast(pa.string()), _MISSING)
    return pa.repeat(pa.scalar(_MISSING), batch.num_rows)


def _day_number(ms: int, zone: str) -> float:
    """Days from the beginning of ``DAY_ONE`` on the clock of the zone, plus one."""
    shown = datetime.fromtimestamp(ms / 1_000, UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)
    return 1 + (shown - datetime(DAY_ONE.year, DAY_ONE.month, DAY_ONE.day, tzinfo=UTC)).total_seconds() / DAY_S


def _decimals(days: Array) -> Array:
    """Day numbers as text, exact to a hundredth of a millisecond."""
    return np.array([f"{day:.10f}" for day in days.tolist()])
