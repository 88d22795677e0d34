"""A fleet of eight cars, made by hand: they drive north side by side, on two days. What was agreed about them is a test's own.

The last two of those who consented turn back half way, and one never consented.
"""

from __future__ import annotations

from itertools import product
from typing import Any, Final

FIRST_S: Final = 1_768_384_800  # 2026-01-14T10:00:00Z
DAY_S: Final = 86_400
DAYS_S: Final = (FIRST_S, FIRST_S + DAY_S)
RPM: Final = "Vehicle.Powertrain.CombustionEngine.Speed"
CARS: Final = tuple(f"CAR-{number}" for number in range(8))
CONSENTED: Final = CARS[:7]
EXPLICITLY: Final = CARS[:5]
"""Those whose consent is explicit."""
TURNING: Final = CARS[5:7]
"""Those that drive half of the way: from there on five are left that consented."""
REFERENCES: Final = {CARS[0]: "contract-0", CARS[3]: "contract-3", CARS[7]: "contract-7"}
HOME: Final = (43.6, 3.86, 2_000.0)
"""A sensitive place on the way: latitude, longitude, metres."""


def drives() -> list[dict[str, Any]]:
    """A row a second, 20 m further north each."""
    return [
        {
            "car": car,
            "drive": f"{day}",
            "at": day + second,
            "lat": round(43.56 + second * 20 / 111_320, 7),
            "lon": round(3.86 + number / 10_000, 7),
            "rpm": 2_000.0 + number,
            "kmh": 72.0,
        }
        for (number, car), day in product(enumerate(CARS), DAYS_S)
        for second in range(301 if car in TURNING else 601)
    ]
