"""The insurer's side of pay-as-you-drive: from features of driving, as they came, to a score and a premium for each contract.

``score = 100 - sum of w * min(1, x / ref)`` over ``RISKS``: the weights and references are those of the score that a data plane
makes itself, set beside what 1 Hz data of commuters show (10.8 harsh brakings per 100 km at the median of the trips, 38.6 at the
ninetieth percentile). They rate nobody: an insurer puts its own in their place. The premium only goes down, from 1.0 of the base
at a score of 0 to 0.7 at 100. What is too little to judge by pays the base, with the reason. Pure but for the two functions at
the end, which read and write a file. Knows nothing of the connector.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet

Row = Mapping[str, Any]
LEAST_KM: Final = 300
"""Fewer kilometres and a handful of events would decide the score."""
LEAST_MONTHS: Final = 3
"""After about so many months a driver's figures no longer move much."""
LOWEST: Final = Decimal("0.7")
"""Share of the base premium at a score of 100."""
NOTHING_CAME: Final = "no features came: no consent, or not driven"
_CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Risk:
    """One part of the score: up to ``weight`` points are lost, all of them at ``reference`` and above.

    ``column``: of the features; a mean over the months by their ``per`` (a column), or per month where that is empty.
    """

    column: str
    weight: int
    reference: float
    per: str


RISKS: Final = (
    Risk("harsh_braking_per_100km", 30, 20.0, "km"),
    Risk("harsh_acceleration_per_100km", 15, 30.0, "km"),
    Risk("night_km_share", 15, 0.3, "km"),
    Risk("share_above_130", 20, 0.1, "hours"),
    Risk("km", 20, 2_000.0, ""),
)


@dataclass(frozen=True, slots=True)
class Premium:
    """What one contract pays. ``contract``: the insurer's reference, or the pseudonym where none came.

    ``score``: 0 to 100 to a tenth, None where it was not priced; ``why`` then says so. ``eur``: the base times ``factor``.
    """

    contract: str
    months: int
    km: float
    score: float | None
    factor: Decimal
    eur: Decimal
    why: str | None


def premiums(
    rows: Iterable[Row],
    *,
    base_eur: Decimal,
    least_km: float = LEAST_KM,
    least_months: int = LEAST_MONTHS,
    contracts: Collection[str] = (),
) -> list[Premium]:
    """A premium for each contract in the rows of features and for each of ``contracts``, by name.

    A row is a month of a vehicle as a data plane makes it: ``reference`` or ``pseudonym``, ``month``, ``km``, ``hours``, and
    rates and shares, which are None where nothing was driven. Raises ValueError for a figure that is negative or not a number.
    """
    driven: dict[str, list[Row]] = {contract: [] for contract in contracts}
    for row in rows:
        _checked(row)
        driven.setdefault(str(row.get("reference") or row["pseudonym"]), []).append(row)
    return [_premium(contract, driven[contract], base_eur, least_km, least_months) for contract in sorted(driven)]


def score(months: Sequence[Row]) -> float:
    """The score of one vehicle's months: 0 to 100, to a tenth."""
    lost = sum(risk.weight * min(1.0, _found(risk, months) / risk.reference) for risk in RISKS)
    return round(100 - lost, 1)


def factor(of: float) -> Decimal:
    """The share of the base premium that a score leaves: 1.0 at 0, ``LOWEST`` at 100, straight between them."""
    return 1 - (1 - LOWEST) * Decimal(str(of)) / 100


def _premium(contract: str, rows: Sequence[Row], base_eur: Decimal, least_km: float, least_months: int) -> Premium:
    km, months = math.fsum(row["km"] for row in rows), len({row["month"] for row in rows})
    why = _too_little(km, months, least_km, least_months)
    found = None if why else score(rows)
    share = Decimal(1) if found is None else factor(found)
    return Premium(contract, months, round(km, 3), found, share, (base_eur * share).quantize(_CENT, ROUND_HALF_UP), why)


def _too_little(km: float, months: int, least_km: float, least_months: int) -> str | None:
    if not months:
        return NOTHING_CAME
    if km < least_km:
        return f"fewer than {least_km:g} km"
    return f"fewer than {least_months} months" if months < least_months else None


def _found(risk: Risk, months: Sequence[Row]) -> float:
    if not risk.per:
        return math.fsum(row[risk.column] for row in months) / len({row["month"] for row in months})
    whole = math.fsum(row[risk.per] for row in months)
    return math.fsum((row[risk.column] or 0.0) * row[risk.per] for row in months) / whole if whole else 0.0


def _checked(row: Row) -> None:
    for name in {risk.column for risk in RISKS} | {"hours"}:
        value = row.get(name)
        known = isinstance(value, int | float) and math.isfinite(value) and value >= 0
        if not known and (value is not None or name in ("km", "hours")):
            raise ValueError(f"{name} of a row is {value}, which is no figure of driving")


def read_features(path: Path) -> list[dict[str, Any]]:
    """The rows of a Parquet file of features, as it came."""
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    return rows


def write_premiums(path: Path, found: Iterable[Premium]) -> None:
    """Write them as CSV, one a line under a header; an existing file is replaced."""
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow([field.name for field in fields(Premium)])
        lines.writerows(["" if value is None else value for value in astuple(premium)] for premium in found)
