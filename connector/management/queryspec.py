"""EDC's QuerySpec and Criterion, parsed and checked. What a criterion means is said in ``leaves.py``. Pure.

Taken are plain compacted documents. Whatever is not known is refused with its place: an empty list for a misspelt key would look
like an answer. Imports the model and its error only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final, cast, get_args

from connector.management.invalid import InvalidQuery
from connector.management.model import Criterion, Operator, QuerySpec, Scalar

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 10_000
"""Most members of a page."""
MAX_OFFSET: Final = 2**31
MAX_CRITERIA: Final = 32
MAX_VALUES: Final = 500
"""Most values of ``in`` and ``notIn``."""
MAX_TEXT_CHARS: Final = 4096
MAX_WILDCARDS: Final = 32
"""Most ``%`` in a pattern: each may make a database look through a text anew."""
MAX_PATH_CHARS: Final = 512
MAX_SEGMENTS: Final = 8
MAX_NUMBER: Final = 2**53

_MEMBERS: Final = frozenset({"offset", "limit", "sortField", "sortOrder", "filterExpression"})
_OF_CRITERION: Final = frozenset({"operandLeft", "operator", "operandRight"})
_OPERATORS: Final = frozenset(get_args(Operator))
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+-]*:")
_QUOTED: Final = re.compile(r"'((?:[^']|'')+)'")
_PLAIN: Final = re.compile(r"[^.']+")
_IRI: Final = re.compile(r"(?:(?!\.')[^'])+")


def parse(document: Mapping[str, Any] | None) -> QuerySpec:
    """What a list is narrowed to. ``None`` and ``{}`` are everything, fifty at a time. Raises InvalidQuery.

    Members that are null are as if they were absent. A single criterion may stand without its array, as compaction leaves it.
    """
    document = {} if document is None else document
    if not isinstance(document, Mapping):
        raise InvalidQuery("a QuerySpec is an object", "", document)
    for key in document:
        if key not in _MEMBERS and not key.startswith("@"):
            raise InvalidQuery(
                f"a QuerySpec has no member {key!r:.100}; it has {', '.join(sorted(_MEMBERS))}", key, document[key]
            )
    sort = document.get("sortField")
    order = document.get("sortOrder") or "ASC"
    if not isinstance(order, str) or order.upper() not in ("ASC", "DESC"):
        raise InvalidQuery("sortOrder is ASC or DESC", "sortOrder", order)
    return QuerySpec(
        offset=_whole(document, "offset", 0, 0, MAX_OFFSET),
        limit=_whole(document, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT),
        sort_path=split(sort, "sortField") if sort not in (None, "") else (),
        descending=order.upper() == "DESC",
        criteria=criteria(document.get("filterExpression"), "filterExpression"),
    )


def criteria(documents: Any, path: str) -> tuple[Criterion, ...]:
    """The criteria of a filter, or of the selector of a contract definition, at ``path``. Raises InvalidQuery."""
    if documents is None:
        return ()
    if isinstance(documents, Mapping):
        documents = [documents]
    if not isinstance(documents, list | tuple):
        raise InvalidQuery("criteria stand in an array", path, documents)
    if len(documents) > MAX_CRITERIA:
        raise InvalidQuery(f"there may be {MAX_CRITERIA} criteria", path)
    return tuple(_criterion(each, f"{path}[{place}]") for place, each in enumerate(documents))


def document_of(criterion: Criterion) -> dict[str, Any]:
    """A criterion as it was written; ``criteria`` reads it back."""
    right = list(criterion.right) if isinstance(criterion.right, tuple) else criterion.right
    operator = "notIn" if criterion.operator == "notin" else criterion.operator
    return {"operandLeft": criterion.left, "operator": operator, "operandRight": right}


def split(left: Any, place: str) -> tuple[str, ...]:
    """The segments of a path. Dots stand between them; what is in single quotes (two of them for one inside) is a whole segment,
    and so is an IRI without quotes, up to its end or to ``.'``. Raises InvalidQuery; ``place`` says where the path stood."""
    if not isinstance(left, str) or not left or len(left) > MAX_PATH_CHARS or not _storable(left):
        raise InvalidQuery(f"a path is a text of 1 to {MAX_PATH_CHARS} characters", place, left)
    segments: list[str] = []
    at = 0
    while True:
        match = _segment(left, at)
        if match is None:
            raise InvalidQuery("segments stand between dots; one with a dot of its own stands in single quotes", place, left)
        segments.append(match.group(1).replace("''", "'") if match.re is _QUOTED else match.group())
        at = match.end()
        if at == len(left):
            break
        if left[at] != ".":
            raise InvalidQuery("a segment in quotes ends at a dot", place, left)
        at += 1
    if len(segments) > MAX_SEGMENTS:
        raise InvalidQuery(f"a path has at most {MAX_SEGMENTS} segments", place, left)
    return tuple(segments)


def _segment(left: str, at: int) -> re.Match[str] | None:
    if _SCHEME.match(left, at):
        return _IRI.match(left, at)
    return _QUOTED.match(left, at) or _PLAIN.match(left, at)


def _whole(document: Mapping[str, Any], key: str, default: int, least: int, most: int) -> int:
    value = document.get(key)
    if value is None:
        return default
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidQuery(f"{key} is a whole number from {least} to {most}", key, value)
    return value


def _criterion(document: Any, path: str) -> Criterion:
    if not isinstance(document, Mapping):
        raise InvalidQuery("a criterion is an object", path, document)
    for key in document:
        if key not in _OF_CRITERION and not key.startswith("@"):
            raise InvalidQuery(f"a criterion has no member {key!r:.100}", f"{path}.{key}", document[key])
    left = document.get("operandLeft")
    name = document.get("operator")
    operator = name.lower() if isinstance(name, str) else ""
    if operator not in _OPERATORS:
        raise InvalidQuery("the operators are = != like ilike in notIn contains < <= > >=", f"{path}.operator", name)
    known = cast("Operator", operator)
    return Criterion(
        left=cast("str", left),
        path=split(left, f"{path}.operandLeft"),
        operator=known,
        right=_right(known, document.get("operandRight"), f"{path}.operandRight"),
    )


def _right(operator: Operator, value: Any, path: str) -> Scalar | tuple[Scalar, ...]:
    if operator in ("in", "notin"):
        values = value if isinstance(value, list | tuple) else [value]
        if not 1 <= len(values) <= MAX_VALUES:
            raise InvalidQuery(f"an array of 1 to {MAX_VALUES} values", path)
        return tuple(_scalar(each, path) for each in values)
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    right = _scalar(value, path)
    if operator in ("like", "ilike") and (not isinstance(right, str) or right.count("%") > MAX_WILDCARDS):
        raise InvalidQuery(f"a pattern is a text with at most {MAX_WILDCARDS} times %", path, value)
    if operator in ("<", "<=", ">", ">=") and isinstance(right, bool):
        raise InvalidQuery("true and false have no order", path, value)
    return right


def _scalar(value: Any, path: str) -> Scalar:
    if isinstance(value, str):
        if len(value) > MAX_TEXT_CHARS or not _storable(value):
            raise InvalidQuery(f"a text of at most {MAX_TEXT_CHARS} characters", path, value)
        return value
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and math.isfinite(value) and abs(value) <= MAX_NUMBER:
        return value
    raise InvalidQuery("a text, a number of at most 53 bits, true or false", path, value)


def _storable(text: str) -> bool:
    return "\0" not in text and _encodable(text)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
