"""A week of a small fleet for each profile, made once: signals as numpy columns, and where trips and vehicles begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from connector.demo.fleet import ENVIROCAR, KIT, Profile, simulate

Array = npt.NDArray[Any]
SEED = 7


@dataclass(frozen=True)
class Week:
    """What a fleet drove in seven days. ``trip``, ``vehicle``: numbers from 0, by row; ``owner``: the vehicle of each trip."""

    profile: Profile
    table: Any
    trip: Array
    vehicle: Array
    owner: Array

    def column(self, path: str) -> Array:
        values: Array = self.table.column(path).to_numpy()
        return values

    @property
    def seconds(self) -> Array:
        times: Array = self.table.column("time").cast(pa.int64()).to_numpy() // 1_000
        return times

    @property
    def trip_km(self) -> Array:
        km: Array = np.bincount(self.trip, self.column("Vehicle.Speed").astype(float)) * self.profile.step_s / 3_600
        return km


def numbered(column: Any) -> Array:
    """Numbers from 0 for runs of equal values."""
    values = column.cast(pa.string()).to_numpy()
    numbers: Array = np.cumsum(np.append(False, values[1:] != values[:-1]))
    return numbers


def week(profile: Profile, vehicles: int) -> Week:
    table = pa.Table.from_batches(list(simulate(profile, vehicles, 7, SEED)))
    trip, vehicle = numbered(table.column("trip")), numbered(table.column("Vehicle.VehicleIdentification.VIN"))
    begins = np.flatnonzero(np.append(True, np.diff(trip) != 0))
    return Week(profile, table, trip, vehicle, vehicle[begins])


@pytest.fixture(scope="session")
def kit_week() -> Week:
    return week(KIT, 90)


@pytest.fixture(scope="session")
def envirocar_week() -> Week:
    return week(ENVIROCAR, 300)


@pytest.fixture(params=["kit", "envirocar"])
def any_week(request: pytest.FixtureRequest) -> Week:
    found: Week = request.getfixturevalue(f"{request.param}_week")
    return found
