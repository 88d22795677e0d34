"""How a fleet drives: one frozen profile for each real data set that its statistics were fitted to.

The numbers are facts about shapes of distributions (a dozen quantiles of trip length, shares, rates), not rows of anyone's data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from connector.demo.fleet.streets import Region


@dataclass(frozen=True, slots=True)
class Road:
    """Driving on one kind of road.

    ``cruise_kmh``, ``spread_kmh``: mean and standard deviation of the speed that drivers aim at. ``stretch_m``: mean way between
    two changes of speed. ``stops``: share of these that are stops, of ``stop_s`` on average. ``slows``: what share of its speed a
    vehicle keeps at a change, at least. ``jams``: share of the stretches that are jammed (more at rush hours, fewer otherwise).
    """

    cruise_kmh: float
    spread_kmh: float
    stretch_m: float
    stops: float
    stop_s: float
    slows: float
    jams: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A fleet's ways: see the fields.

    ``step_s``: time between two rows. ``start_s``: epoch seconds of the first day, 0 o'clock UTC, a Monday; hours of the day are
    UTC throughout. ``trip_km``: quantiles of the length of trips, evenly spaced from the shortest to the longest.
    ``motorway_km``: longer trips use motorways. ``roads``: local streets, main roads, motorways. ``fast_share``, ``fast_kmh``: so
    many motorway stretches are driven at about this speed. ``harsh_per_100km``: brakings at 3 m/s² and more of the median driver.
    ``harsh_gains_per_100km``: and speeding up at 2.5 m/s² and more.
    ``commutes``, ``errands``, ``nights``: chance of each on a day (commutes on weekdays). ``electric``, ``rented``, ``company``:
    shares of the fleet. ``faulty``: share of the vehicles that show a fault code at some time of a month. ``towns``,
    ``spread_km``: how many there are, and how far (standard deviation) from the middle of the region.
    """

    name: str
    step_s: int
    region: Region
    trip_km: tuple[float, ...]
    motorway_km: float
    roads: tuple[Road, Road, Road]
    fast_share: float
    fast_kmh: float
    harsh_per_100km: float
    harsh_gains_per_100km: float = 20.3
    start_s: int = 1_772_409_600  # 2026-03-02
    commutes: float = 0.85
    errands: float = 0.45
    nights: float = 0.02
    electric: float = 0.2
    rented: float = 0.1
    company: float = 0.25
    faulty: float = 0.08
    towns: int = 9
    spread_km: float = 30.0


KIT: Final = Profile(
    name="kit",
    step_s=1,
    region=Region(48.80, 8.90),
    trip_km=(5.0, 10.1, 10.5, 11.0, 30.0, 52.5, 54.2, 54.5, 55.4, 56.5, 70.0, 103.0, 105.9),
    motorway_km=9.0,
    roads=(
        Road(cruise_kmh=33, spread_kmh=8, stretch_m=130, stops=0.30, stop_s=20, slows=0.4, jams=0.02),
        Road(cruise_kmh=66, spread_kmh=18, stretch_m=450, stops=0.34, stop_s=24, slows=0.4, jams=0.08),
        Road(cruise_kmh=108, spread_kmh=14, stretch_m=1_100, stops=0.01, stop_s=10, slows=0.7, jams=0.13),
    ),
    fast_share=0.11,
    fast_kmh=142,
    harsh_per_100km=10.8,
)
"""Commuters between towns over motorways, a row each second: like the trips of the KIT set."""

ENVIROCAR: Final = Profile(
    name="envirocar",
    step_s=5,
    region=Region(51.95, 7.63),
    trip_km=(0.3, 1.7, 2.4, 2.6, 3.2, 3.5, 4.0, 5.1, 6.5, 8.0, 13.5, 30.0, 120.0),
    motorway_km=14.0,
    roads=(
        Road(cruise_kmh=40, spread_kmh=7, stretch_m=200, stops=0.28, stop_s=26, slows=0.4, jams=0.02),
        Road(cruise_kmh=52, spread_kmh=9, stretch_m=450, stops=0.40, stop_s=34, slows=0.5, jams=0.02),
        Road(cruise_kmh=112, spread_kmh=7, stretch_m=1_500, stops=0.005, stop_s=10, slows=0.7, jams=0.03),
    ),
    fast_share=0.003,
    fast_kmh=138,
    harsh_per_100km=10.8,
    nights=0.03,
    electric=0.15,
    spread_km=12.0,
    towns=3,
)
"""Short trips in a city and a few far ones, a row every five seconds: like the trips of enviroCar."""

PROFILES: Final = {profile.name: profile for profile in (KIT, ENVIROCAR)}
