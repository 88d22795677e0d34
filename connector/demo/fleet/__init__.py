"""A made-up fleet: vehicles, the people who decide for them, and what they drive, from a seed.

It gives the demo, the tests and the benchmarks rows that look like those of real vehicles. No vehicle, person or place in it is
real. It knows nothing of the connector: it writes files that anyone could have brought, and imports no data plane.
"""

from connector.demo.fleet.people import Request, consents, enrolments, ownership, rentals
from connector.demo.fleet.profiles import ENVIROCAR, KIT, PROFILES, Profile, Road
from connector.demo.fleet.simulation import simulate
from connector.demo.fleet.ved import write_ved
from connector.demo.fleet.vehicles import vins
from connector.demo.fleet.writing import Written, write_parquet

__all__ = [
    "ENVIROCAR",
    "KIT",
    "PROFILES",
    "Profile",
    "Request",
    "Road",
    "Written",
    "consents",
    "enrolments",
    "ownership",
    "rentals",
    "simulate",
    "vins",
    "write_parquet",
    "write_ved",
]
