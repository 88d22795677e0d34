"""What the drivers of a small fleet agree to, and the terms under which their rows are offered for research."""

from __future__ import annotations

import hashlib
from typing import Any

from policies.model import XSD
from tests.dataplane.conftest import VDX, when
from tests.dataplane.drives import CATEGORIES, RESEARCH


def research(*more: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows for research, positions as cells, speed as bands; with more constraints."""
    return [
        when("purpose", "isA", RESEARCH),
        when(f"{VDX}spatialResolution", "lteq", typed("7", "integer")),
        when(f"{VDX}offenceData", "eq", typed("false", "boolean")),
        *more,
    ]


def known() -> dict[str, Any]:
    """Only vehicles that the buyer knows, with its own reference."""
    return when(f"{VDX}enrolment", "eq", typed("true", "boolean"))


def typed(value: str, kind: str) -> dict[str, str]:
    """A value as offers have it."""
    return {"@value": value, "@type": f"{XSD}{kind}"}


def consented(recipient: str, *vehicles: int, given: bool = True) -> list[dict[str, Any]]:
    """Entries of the ledger by which the owners of vehicles agree, or say no."""
    return [
        {
            "vehicle": name_of(vehicle),
            "category": category,
            "purpose": RESEARCH,
            "recipient": recipient,
            "given": given,
            "decided_by": "owner",
            "text_sha256": hashlib.sha256(b"text").hexdigest(),
        }
        for vehicle in vehicles
        for category in CATEGORIES
    ]


def name_of(vehicle: int) -> str:
    """As the table of drives names it."""
    return f"CAR{vehicle:04}"
