"""Criteria as SQL: over columns, and over the table ``property`` with the leaves of documents. No I/O.

What a criterion means is said in ``management/leaves.py``; here is the same for both engines. May import the engine's seam,
and of the management interface its model, its errors and its leaves.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from connector.management.invalid import InvalidQuery
from connector.management.leaves import folded, head_of, rank_of, text_of
from connector.management.model import Criterion, Scalar
from connector.store.engine import Value

Dialect = Literal["sqlite", "postgresql"]
Part = tuple[str, tuple[Value, ...]]
"""SQL and its parameters."""

_ORDER: Final = frozenset({"<", "<=", ">", ">="})


@dataclass(frozen=True, slots=True)
class Column:
    """A field that is an expression over columns.

    ``read`` makes of an operand the value that is compared (None: as it is). ``narrow``: few rows have a value, and an index
    finds them. ``ordered``: its values have an order.
    """

    sql: str
    number: bool = False
    params: tuple[Value, ...] = ()
    read: Callable[[Scalar], Scalar] | None = None
    narrow: bool = False
    ordered: bool = True


Fields = Mapping[str, Column]
"""Columns by name; names of members stand behind dots."""


def path_text(path: Sequence[str]) -> str:
    """A path as the table ``property`` has it."""
    return msgspec.json.encode(list(path)).decode()


def column_named(fields: Fields, path: Sequence[str], place: str) -> Column:
    """The column that a path names. Raises InvalidQuery: an unknown field."""
    name = ".".join(path)
    column = fields.get(name)
    if column is None:
        raise InvalidQuery(f"there is no field {name!r:.200}; there are {', '.join(sorted(fields))}", place, name)
    return column


def on_column(criterion: Criterion, column: Column, dialect: Dialect, place: str = "") -> Part:
    """A criterion about a column. Raises InvalidQuery where an operand does not fit; ``place`` is where the criterion stood."""
    operator, right = criterion.operator, criterion.right
    values = [_operand(each, column, criterion, place) for each in (right if isinstance(right, tuple) else (right,))]
    if operator in ("like", "ilike"):
        return _pattern(column, str(values[0]), dialect, folds=operator == "ilike")
    slots = [_slot(each) for each in values]
    params = (*column.params, *values)
    if operator in ("in", "notin"):
        word = "IN" if operator == "in" else "NOT IN"
        return f"{column.sql} {word} ({', '.join(slots)})", params
    if operator in _ORDER:
        if not column.ordered:
            raise InvalidQuery(f"{criterion.left} has no order", f"{place}.operator", operator)
        if not column.number and not isinstance(right, str):
            return "1 = 0", ()
        # The database's own collation may be another than that of code points.
        collated = ' COLLATE "C"' if dialect == "postgresql" and not column.number else ""
        return f"{column.sql}{collated} {operator} {slots[0]}", params
    return f"{column.sql} {'<>' if operator == '!=' else '='} {slots[0]}", params


def _operand(value: Scalar, column: Column, criterion: Criterion, place: str) -> str | int | float:
    read = value if column.read is None else column.read(value)
    if not column.number:
        return text_of(read)
    if criterion.operator in ("like", "ilike"):
        raise InvalidQuery(f"{criterion.left} is a number, and has no pattern", f"{place}.operator", criterion.operator)
    try:
        number = float(read)
    except ValueError:
        raise InvalidQuery(f"{criterion.left} is a number", f"{place}.operandRight", value) from None
    if isinstance(read, bool) or not abs(number) <= 2**53:
        raise InvalidQuery(f"{criterion.left} is a number", f"{place}.operandRight", value)
    return int(number) if number.is_integer() else number


def _slot(value: Value) -> str:
    # PostgreSQL takes the type of a parameter from what it is compared with, which is a whole number.
    return "CAST(? AS DOUBLE PRECISION)" if isinstance(value, float) else "?"


def _pattern(column: Column, pattern: str, dialect: Dialect, *, folds: bool) -> Part:
    """Of columns, which hold identifiers, only ASCII letters are folded, as both engines do."""
    sql = column.sql
    if folds:
        sql = f'lower({sql} COLLATE "C")' if dialect == "postgresql" else f"lower({sql})"
        pattern = "".join(char.lower() if char.isascii() else char for char in pattern)
    return _like(sql, column.params, pattern, dialect)


def _like(sql: str, params: tuple[Value, ...], pattern: str, dialect: Dialect) -> Part:
    if dialect == "postgresql":
        return f"{sql} LIKE ? ESCAPE ''", (*params, pattern)
    # SQLite's LIKE folds case, its GLOB does not.
    return f"{sql} GLOB ?", (*params, "".join(_GLOB.get(char, char) for char in pattern))


_GLOB: Final = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}


def on_leaf(criterion: Criterion, dialect: Dialect, rank: str = "v.rank") -> Part:
    """A criterion about one leaf ``v`` that has its path. Of ``!=`` and ``notIn`` this is what no leaf may be."""
    operator, right = criterion.operator, criterion.right
    values = right if isinstance(right, tuple) else (right,)
    if operator in ("like", "ilike"):
        return _sought(operator, text_of(values[0]), dialect, rank)
    if operator in _ORDER:
        return _ranked(operator, rank_of(values[0]), dialect, rank)
    heads = tuple(sorted({head_of(text_of(each)) for each in values}))
    if len(heads) == 1:
        return "v.head = ?", heads
    return f"v.head IN ({', '.join('?' * len(heads))})", heads


def _sought(operator: str, pattern: str, dialect: Dialect, rank: str) -> Part:
    if operator == "ilike":
        return _like("v.folded", (), folded(pattern), dialect)
    sql, params = _like("v.sought", (), pattern, dialect)
    beginning = _beginning(pattern)
    if dialect == "postgresql" or not beginning:
        return sql, params
    between = f"{rank} >= ? AND {rank} < ?"
    if pattern.rstrip("%") == beginning != pattern:
        # Nothing else is asked, and the index alone knows.
        return between, _texts(beginning)
    return f"{between} AND {sql}", (*_texts(beginning), *params)


def _beginning(pattern: str) -> str:
    """What every text has to begin with, or the beginning of that."""
    return _WILD.split(pattern, maxsplit=1)[0][:_BEGINNING_CHARS]


def _one(right: Scalar | tuple[Scalar, ...]) -> Scalar:
    return right[0] if isinstance(right, tuple) else right


def _texts(beginning: str) -> tuple[str, str]:
    """Between which ranks texts stand that begin so: in the order of code points, as SQLite has it."""
    least = rank_of(beginning)
    for place in range(len(least) - 1, 0, -1):
        if (after := ord(least[place]) + 1) <= sys.maxunicode:
            return least, least[:place] + chr(_AFTER_SURROGATES if after == _FIRST_SURROGATE else after)
    return least, "2"


_WILD: Final = re.compile("[%_]")
_BEGINNING_CHARS: Final = 64
_FIRST_SURROGATE: Final = 0xD800
_AFTER_SURROGATES: Final = 0xE000


def _ranked(operator: str, bound: str, dialect: Dialect, rank: str) -> Part:
    # A rank begins with a digit that says what it is a rank of; the next digit ends those.
    collated = ' COLLATE "C"' if dialect == "postgresql" and bound[0] != "0" else ""
    other = (">=", bound[0]) if operator[0] == "<" else ("<", str(int(bound[0]) + 1))
    return f"{rank}{collated} {operator} ? AND {rank}{collated} {other[0]} ?", (bound, other[1])


def on_leaves(criterion: Criterion, path: Sequence[str], resource: str, dialect: Dialect) -> Part:
    """A criterion about the leaves at a path of the document ``d``: once for all documents, not once for each."""
    keys = (resource, path_text(path))
    sql, params = on_leaf(criterion, dialect)
    found = f"(SELECT v.id FROM property v WHERE {_AT} AND {sql})"
    if criterion.operator in ("!=", "notin"):
        return f"{_HAVING} AND d.id NOT IN {found}", (*keys, *keys, *params)
    return f"d.id IN {found}", (*keys, *params)


def on_own_leaves(criterion: Criterion, path: Sequence[str], resource: str, dialect: Dialect) -> Part:
    """The same as ``on_leaves``, looked up for each document ``d`` that is met on the way."""
    keys = (resource, path_text(path))
    # SQLite would begin with the range of an order, too: a sign keeps it from the index of ranks.
    sql, params = on_leaf(criterion, dialect, "+v.rank" if dialect == "sqlite" else "v.rank")
    # A value and no EXISTS: neither engine makes a join of it, which would begin with all that meet the criterion.
    found = f"(SELECT 1 FROM property v WHERE {_AT} AND v.id = d.id AND {sql} LIMIT 1)"
    if criterion.operator in ("!=", "notin"):
        return f"{_HAVING} AND {found} IS NULL", (*keys, *keys, *params)
    return f"{found} = 1", (*keys, *params)


def documents_with(criterion: Criterion, path: Sequence[str], resource: str, dialect: Dialect, first: Part | None = None) -> Part:
    """A table of ids and times of the documents that meet a criterion about a leaf, each once.

    ``first``, an order and a limit, says that no more than these of them are asked for; more may come.
    """
    keys = (resource, path_text(path))
    if criterion.operator in ("!=", "notin"):
        sql, params = on_leaf(criterion, dialect)
        found = f"(SELECT v.id FROM property v WHERE {_AT} AND {sql})"
        having = "w.resource = ? AND w.path = ? AND w.first = 1"
        return f"(SELECT w.id, w.created_at FROM property w WHERE {having} AND w.id NOT IN {found})", (*keys, *keys, *params)
    if isinstance(criterion.right, tuple) and len(criterion.right) <= _UNITED_MOST:
        heads = sorted({head_of(text_of(each)) for each in criterion.right})
        order, limits = first or ("", ())
        one = f"SELECT * FROM (SELECT v.id, v.created_at FROM property v WHERE {_AT} AND v.head = ?{order}) u"
        return f"({' UNION '.join([one] * len(heads))})", tuple(value for head in heads for value in (*keys, head, *limits))
    sql, params = on_leaf(criterion, dialect)
    # A document has a value once at a path, so that equality needs no care, and an index has its order.
    each = "" if criterion.operator in ("=", "contains") else "DISTINCT "
    return f"(SELECT {each}v.id, v.created_at FROM property v WHERE {_AT} AND {sql})", (*keys, *params)


def leads(criterion: Criterion, dialect: Dialect) -> bool:
    """Whether an index leads to what meets a criterion: not to what lacks a value, and to patterns by their beginning alone."""
    if criterion.operator in ("!=", "notin", "ilike"):
        return False
    if criterion.operator == "like":
        return dialect == "sqlite" and bool(_beginning(text_of(_one(criterion.right))))
    return True


_UNITED_MOST: Final = 16
"""Most values that are looked up one by one."""
_AT: Final = "v.resource = ? AND v.path = ?"
_HAVING: Final = "EXISTS (SELECT 1 FROM property w WHERE w.resource = ? AND w.id = d.id AND w.path = ?)"


def all_of(parts: Sequence[Part]) -> Part:
    """What holds if every part does, as it stands behind WHERE."""
    sql = " AND ".join(f"({sql})" for sql, _ in parts) or "1 = 1"
    return sql, tuple(value for _, params in parts for value in params)
