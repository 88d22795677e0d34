"""Which terms this data plane keeps, source by source. What is published rests on it: nothing else is believed. No I/O.

A term is declared for a source where its columns allow to keep it: what is about places needs places, what is about the ends of
trips needs trips. A plain file passes as it is, and so do the answers of an HTTP API: requests and bytes are counted, and
nothing is shaped.
"""

from __future__ import annotations

from typing import Final

from connector.dataplane.tables.model import Table
from policies.terms import consent, duties, metering, place, privacy, time

_OF_FILES: Final = frozenset({metering.COUNT, metering.BYTES, time.TIME_INTERVAL})
_OF_TABLES: Final = _OF_FILES | {
    metering.ROWS,
    metering.REQUESTS_PER_VEHICLE_DAY,
    consent.LEGAL_BASIS,
    consent.USER_REQUEST,
    duties.OBTAIN_CONSENT,
    time.DELAY_PERIOD,
    privacy.RELEASE_LEVEL,
    privacy.TEMPORAL_RESOLUTION,
    privacy.SAMPLING_INTERVAL,
    privacy.COLUMNS,
    privacy.OFFENCE_DATA,
    privacy.DETAIL,
    privacy.PSEUDONYM_EPOCH,
    privacy.ENROLMENT,
}
_OF_PLACES: Final = frozenset(
    {place.SPATIAL, place.BOUNDING_BOX, privacy.SPATIAL_RESOLUTION, privacy.SENSITIVE_PLACES, privacy.MIN_GROUP_SIZE}
)
_OF_TRIPS: Final = frozenset({privacy.TRIP_END_CUT_TIME})
_OF_PLACED_TRIPS: Final = frozenset({privacy.TRIP_END_CUT})


def declared(table: Table) -> frozenset[str]:
    """IRIs of the terms that are kept of this table."""
    trips = table.mapping.trip is not None
    return (
        _OF_TABLES
        | (_OF_PLACES if table.placed else frozenset())
        | (_OF_TRIPS if trips else frozenset())
        | (_OF_PLACED_TRIPS if trips and table.placed else frozenset())
    )


def declared_for_file() -> frozenset[str]:
    """IRIs of the terms that are kept of a file that passes as it is."""
    return _OF_FILES


def declared_for_http() -> frozenset[str]:
    """IRIs of the terms that are kept of an HTTP API: each request is one, and what it brings passes as it is."""
    return _OF_FILES


def every() -> frozenset[str]:
    """IRIs of all terms that are ever kept here."""
    return _OF_TABLES | _OF_PLACES | _OF_TRIPS | _OF_PLACED_TRIPS
