"""The data of the demo: trips of made-up vehicles in a made-up grid of zones, the same for the same seed. Pure.

No real person, vehicle or place.
"""

from __future__ import annotations

import random
from typing import Final

SEED: Final = 20251
TRIPS: Final = 20_000
ZONES: Final = 64
_COLUMNS: Final = "trip,vehicle,minute_of_day,distance_km,duration_min,energy_kwh,from_zone,to_zone\n"


def trips_csv(seed: int = SEED, count: int = TRIPS) -> str:
    """``count`` trips as CSV, with a header: distances in km, durations in minutes, energy in kWh, zones of a made-up grid."""
    chance = random.Random(seed)  # noqa: S311  # made-up data, not a secret
    lines = [_COLUMNS]
    for number in range(count):
        distance_km = min(chance.lognormvariate(1.9, 0.8), 400.0)
        speed_kmh = chance.uniform(18.0, 60.0)
        energy_kwh = distance_km * chance.uniform(0.13, 0.22)
        vehicle, minute = f"v{chance.randrange(500):03}", chance.randrange(1440)
        zones = f"z{chance.randrange(ZONES):02},z{chance.randrange(ZONES):02}"
        lines.append(
            f"{number},{vehicle},{minute},{distance_km:.1f},{distance_km / speed_kmh * 60:.0f},{energy_kwh:.2f},{zones}\n"
        )
    return "".join(lines)


def zones_csv() -> str:
    """The zones that trips begin and end in, as CSV with a header: where each is in a square grid of cells of 1 km."""
    return "zone,row,column\n" + "".join(f"z{number:02},{number // 8},{number % 8}\n" for number in range(ZONES))
