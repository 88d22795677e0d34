"""The file that says what the columns of a table mean, in the form that ``--mapping`` takes: read, written, or only begun.

What is begun is for somebody to finish: what could be guessed stands in it, and a mark wherever something is missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from connector.client.local import Document
from connector.dataplane.tables.formats import FILE_NAME
from connector.dataplane.tables.model import Mapping
from connector.dataplane.tables.recognise import Found
from connector.protocol.errors import CallerError

MAPPING_FILE: Final = "mapping.json"
UNFINISHED_FILE: Final = "mapping-to-finish.json"
MAX_BYTES: Final = 1_048_576
OPEN: Final = "?"
"""Stands in a file that is to be finished for what nobody could guess."""
_ORIGINS: Final = {
    "envirocar": "enviroCar's headers",
    "kit": "the headers of KIT's OBD-II data",
    "ved": "VED's headers",
    "vss": "headers that are VSS paths",
    "given": "headers of no known kind",
}


class NotTaken(CallerError):
    """Nothing can be made of what was given: ``code`` and ``reason`` as ever, and in ``remedy`` what to do, one or more lines."""

    def __init__(self, code: str, reason: str, *remedy: str) -> None:
        super().__init__(code, reason)
        self.remedy = remedy


def read_mapping(file: Path) -> Mapping:
    """The mapping of a JSON file. Raises NotTaken."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES)
        found = json.loads(content)
    except OSError as error:
        raise NotTaken("mapping-unreadable", f"{file} cannot be opened: {error.strerror}", "give another file") from None
    except (ValueError, RecursionError):
        raise NotTaken("mapping-unreadable", f"{file} is no JSON of at most {MAX_BYTES} bytes", "give another file") from None
    if left := list(_open(found, "")):
        left = [place or "the beginning" for place in left]
        raise NotTaken(
            "mapping-unfinished",
            f"{file} still has {OPEN} at {', '.join(left[:5])}{' and elsewhere' if len(left) > 5 else ''}",
            "write what the table has there; of columns that nobody needs, remove the whole entry",
        )
    try:
        return msgspec.convert(found, Mapping)
    except msgspec.ValidationError as error:
        raise NotTaken(
            "mapping-invalid",
            f"{file} is no mapping: {error}",
            f"look at the form in a {MAPPING_FILE} that the demo has written: without --mapping it writes the one it guesses",
        ) from None


def _open(found: Any, path: str) -> Iterator[str]:
    """The places that are still to be filled in."""
    if isinstance(found, dict):
        for name, value in found.items():
            yield from _open(value, f"{path}.{name}" if path else str(name))
    elif isinstance(found, list):
        for number, value in enumerate(found):
            yield from _open(value, f"{path}[{number}]")
    elif found == OPEN:
        yield path


def write_mapping(mapping: Mapping, place: Path) -> Path:
    """Write a mapping into a folder, in place of one that is there."""
    return _write(place / MAPPING_FILE, document(mapping))


def document(mapping: Mapping) -> Document:
    """A mapping in the form of the file."""
    found: Document = json.loads(msgspec.json.encode(mapping))
    return found


def write_unfinished(headers: Sequence[tuple[str, str]], found: Found, place: Path) -> Path:
    """Write what was guessed of a table into a folder, with every other column and role left open."""
    columns: list[Document] = [msgspec.to_builtins(column) for column in found.columns]
    used = {*found.roles.values(), *(column.header for column in found.columns)}
    columns += [{"header": header, "path": OPEN} for header, _ in headers if header not in used]
    time = {"header": found.roles.get("time", OPEN), "clock": "instant", "zone": OPEN}
    roles = {"vehicle": found.roles.get("vehicle", OPEN), "trip": found.roles.get("trip", OPEN)}
    return _write(place / UNFINISHED_FILE, {"origin": "given", **roles, "time": time, "columns": columns})


def _write(file: Path, content: Document) -> Path:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


HOW_TO_FINISH: Final = (
    f"write a header of the table, or what is asked, in place of each {OPEN}; remove columns that nobody needs:",
    f'  vehicle and trip are headers; "trip": "{FILE_NAME}" where each trip is a file of its own;',
    '  "one_vehicle": "NAME" in place of "vehicle" where all rows are of one;',
    '  time: "clock" is instant, epoch-s, epoch-ms or day-and-ms; "zone" is UTC or such as Europe/Berlin',
    "  path is of VSS, in its unit: Vehicle.Speed [km/h], Vehicle.TraveledDistance [m], Vehicle.Diagnostics.DTCList,",
    "  Vehicle.CurrentLocation.Latitude and .Longitude; a header that ends in a unit, such as speed_mph, is converted",
)


def mapping_lines(mapping: Mapping) -> Iterator[str]:
    """What columns mean, for people."""
    time = mapping.time
    # The id itself may be a VIN, and stands in the file alone.
    vehicle = mapping.vehicle if mapping.vehicle is not None else "one for all rows, as the mapping names it"
    trip = "none" if mapping.trip is None else "the name of the file" if mapping.trip == FILE_NAME else mapping.trip
    yield f"vehicle: {vehicle}; trip: {trip}; time: {time.header}, {time.clock}, {time.zone}"
    width = max(len(column.header) for column in mapping.columns)
    for column in mapping.columns:
        yield f"{column.header:{width}} -> {column.path}{f' [{column.unit}]' if column.unit else ''}"


def used(mapping: Mapping) -> set[str | None]:
    """The headers that a mapping names."""
    roles = {mapping.vehicle, mapping.trip, mapping.time.header, mapping.time.ms_header}
    return roles | {column.header for column in mapping.columns}


def known_as(mapping: Mapping) -> str:
    """By what a table was recognised, for people."""
    return _ORIGINS[mapping.origin]
