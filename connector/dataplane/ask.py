"""What a buyer asks for, read from the query of its request. No I/O.

``from``, ``to``: ISO 8601 instants, half open. ``box``: west,south,east,north in degrees. ``columns``: VSS paths between commas.
``format``: parquet, arrow, ndjson or csv. ``purpose``: an IRI, or ``vdx:`` or ``dpv:`` with a name. Each at most once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, cast, get_args

from connector.dataplane.plan.model import Ask, Box, Format
from connector.dataplane.problems import Refusal
from policies.model import CARNET, DPV

PARAMETERS: Final = ("from", "to", "box", "columns", "format", "purpose")
MAX_VALUE_CHARS: Final = 8192
MAX_COLUMNS: Final = 256
PURPOSE_CHARS: Final = 2048
_SHORT: Final = {"vdx": CARNET, "dpv": DPV}
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)", re.ASCII)
_DEGREES: Final = re.compile(r"[+-]?\d{1,3}(?:\.\d{1,12})?", re.ASCII)
_PATH: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,199}", re.ASCII)
_IRI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!#$&-;=?-\[\]_a-z~%]+", re.ASCII)


def parse(query: Iterable[tuple[str, str]]) -> Ask | None:
    """The ask of a query string; None where it has no parameters. Raises Refusal 400, its code naming the parameter."""
    given: dict[str, str] = {}
    for name, value in query:
        if name not in PARAMETERS:
            raise Refusal(400, "ask-parameter", f"a request may say {', '.join(PARAMETERS)}, nothing else")
        if name in given or len(value) > MAX_VALUE_CHARS:
            raise Refusal(400, f"ask-{name}", f"{name} is given twice or is too long")
        given[name] = value
    if not given:
        return None
    after, before = _moment(given, "from"), _moment(given, "to")
    if after is not None and before is not None and after >= before:
        raise Refusal(400, "ask-to", "to must be later than from")
    return Ask(
        after_s=after,
        before_s=before,
        box=_box(given.get("box")),
        columns=_columns(given.get("columns")),
        format=_format(given.get("format", "parquet")),
        purpose=_purpose(given.get("purpose")),
    )


def _moment(given: Mapping[str, str], name: str) -> int | None:
    """Epoch seconds; a fraction rounds up, so that nothing before the moment is meant."""
    text = given.get(name)
    if text is None:
        return None
    # A plus sign that was not escaped has become a space.
    text = text.replace(" ", "+")
    if _INSTANT.fullmatch(text):
        try:
            return math.ceil(datetime.fromisoformat(text).astimezone(UTC).timestamp())
        except (ValueError, OverflowError):
            pass
    raise Refusal(400, f"ask-{name}", f"{name} must be a moment with its time zone, such as 2026-07-01T00:00:00Z")


def _box(text: str | None) -> Box | None:
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) == 4 and all(_DEGREES.fullmatch(part) for part in parts):
        west, south, east, north = map(float, parts)
        if -180 <= west < east <= 180 and -90 <= south < north <= 90:
            return Box(west, south, east, north)
    raise Refusal(400, "ask-box", "box must be west,south,east,north in degrees, west of east and south of north")


def _columns(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    columns = tuple(text.split(","))
    if len(columns) > MAX_COLUMNS or len(set(columns)) < len(columns) or not all(map(_PATH.fullmatch, columns)):
        raise Refusal(400, "ask-columns", f"columns must be at most {MAX_COLUMNS} different VSS paths between commas")
    return columns


def _format(text: str) -> Format:
    if text not in get_args(Format):
        raise Refusal(400, "ask-format", f"format must be one of {', '.join(get_args(Format))}")
    return cast(Format, text)


def _purpose(text: str | None) -> str | None:
    if text is None:
        return None
    prefix, _, local = text.partition(":")
    full = _SHORT[prefix] + local if prefix in _SHORT and local else text
    if len(full) > PURPOSE_CHARS or not _IRI.fullmatch(full):
        raise Refusal(400, "ask-purpose", "purpose must be an IRI, or vdx: or dpv: with a name")
    return full
