"""Pages of documents that have their leaves in the table ``property``: which rows, in which order, and how many. No I/O.

A page costs what it holds as far as an index has its order: by time, by a column, by a property, and by time among the documents
with a value. Skipping costs an entry of an index for each that is skipped. Imports the SQL of criteria and what paths mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from connector.management.leaves import Path, Place
from connector.management.model import Criterion, QuerySpec
from connector.store.criteria import Column, Dialect, Part, all_of, documents_with, on_column, on_leaves, path_text

_TIME: Final = "createdAt"
Condition = tuple[Criterion, Path, str]
"""A criterion, where it leads, and where it stood."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Documents of a kind: their table, their name in ``property``, what is read of them, and what is a column of ``d``."""

    table: str
    resource: str
    columns: str
    place: Callable[[Path, str], Place]
    fields: Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list is about: rows of ``source`` that meet ``where``, in the order of ``key`` and their ids."""

    source: Part
    where: Part
    key: str

    def page(self, kind: Kind, limit: int, offset: int, *, descending: bool) -> Part:
        """The documents from ``offset``, at most ``limit``."""
        way = " DESC" if descending else ""
        chosen = (
            f"SELECT d.id AS id, {self.key} AS k FROM {self.source[0]} d WHERE {self.where[0]} "
            f"ORDER BY {self.key}{way}, d.id{way} LIMIT ? OFFSET ?"
        )
        columns = ", ".join(f"t.{name}" for name in kind.columns.split(", "))
        return (
            f"SELECT {columns} FROM ({chosen}) q CROSS JOIN {kind.table} t WHERE t.id = q.id ORDER BY q.k{way}, q.id{way}",
            (*self.source[1], *self.where[1], limit, offset),
        )

    def count(self) -> Part:
        """How many there are."""
        return f"SELECT count(*) FROM {self.source[0]} d WHERE {self.where[0]}", (*self.source[1], *self.where[1])


@dataclass(frozen=True, slots=True)
class Plan:
    """A list in its parts, one behind the other; the same for counting; and the paths that are only assumed to lead somewhere,
    with where they stood."""

    parts: tuple[Listing, ...]
    whole: Listing
    assumed: tuple[tuple[Path, str], ...]


def planned(kind: Kind, spec: QuerySpec, dialect: Dialect) -> Plan:
    """How a list is made. Raises InvalidQuery for a field that there is not, or an operand that does not fit."""
    assumed: list[tuple[Path, str]] = []
    conditions: list[Condition] = []
    for number, criterion in enumerate(spec.criteria):
        at = f"filterExpression[{number}]"
        place = kind.place(criterion.path, f"{at}.operandLeft")
        conditions.append((criterion, place.path, at))
        if place.assumed:
            assumed.append((place.path, f"{at}.operandLeft"))
    order: Path = (_TIME,)
    if spec.sort_path:
        place = kind.place(spec.sort_path, "sortField")
        order = place.path
        if place.assumed:
            assumed.append((order, "sortField"))
    whole = _by_time(kind, conditions, dialect)
    if order == (_TIME,):
        return Plan((whole,), whole, tuple(assumed))
    column = kind.fields.get(".".join(order))
    if column is None:
        return Plan(_by_property(kind, conditions, order, dialect), whole, tuple(assumed))
    sorted_ = Listing((kind.table, ()), all_of(_conditions(kind, conditions, dialect)), column.sql)
    return Plan((sorted_,), whole, tuple(assumed))


def _by_time(kind: Kind, conditions: Sequence[Condition], dialect: Dialect) -> Listing:
    source: Part = (kind.table, ())
    driver = _driver(kind, conditions)
    if driver is not None:
        criterion, path, _ = driver
        source = documents_with(criterion, path, kind.resource, dialect)
    others = _conditions(kind, [each for each in conditions if each is not driver], dialect)
    return Listing(source, all_of(others), "d.created_at")


def _by_property(kind: Kind, conditions: Sequence[Condition], order: Path, dialect: Dialect) -> tuple[Listing, ...]:
    """Those that have the property in its order; behind them those without it, by time."""
    key = (kind.resource, path_text(order))
    parts = _conditions(kind, conditions, dialect)
    having: Part = ("d.resource = ? AND d.path = ? AND d.first = 1", key)
    lacking: Part = ("NOT EXISTS (SELECT 1 FROM property v WHERE v.resource = ? AND v.id = d.id AND v.path = ?)", key)
    source = "property"
    if not _known_to_property(kind, conditions):
        source = f"(SELECT t.*, w.resource, w.path, w.first, w.rank FROM property w CROSS JOIN {kind.table} t WHERE t.id = w.id)"
    first = Listing((source, ()), all_of([having, *parts]), "d.rank")
    return (first, Listing((kind.table, ()), all_of([lacking, *parts]), "d.created_at"))


def _driver(kind: Kind, conditions: Sequence[Condition]) -> Condition | None:
    """The condition from which a list by time is best made, if the table ``property`` knows all that the others are about."""
    if not _known_to_property(kind, conditions):
        return None
    if any(path == ("id",) and criterion.operator in ("=", "in", "contains") for criterion, path, _ in conditions):
        return None
    able = [each for each in conditions if each[1][0] not in kind.fields and each[0].operator in _DRIVERS]
    return min(able, key=lambda each: _DRIVERS[each[0].operator], default=None)


# The fewer values an operator lets through, as a rule, the better.
_DRIVERS: Final[Mapping[str, int]] = {
    **{"=": 0, "contains": 0, "in": 1, "<": 2, "<=": 2, ">": 2, ">=": 2, "like": 3, "ilike": 3},
}


def _known_to_property(kind: Kind, conditions: Sequence[Condition]) -> bool:
    return all(path in (("id",), (_TIME,)) or path[0] not in kind.fields for _, path, _ in conditions)


def _conditions(kind: Kind, conditions: Sequence[Condition], dialect: Dialect) -> list[Part]:
    return [_condition(kind, each, path, at, dialect) for each, path, at in conditions]


def _condition(kind: Kind, criterion: Criterion, path: Path, at: str, dialect: Dialect) -> Part:
    column = kind.fields.get(".".join(path))
    # Case is folded as Unicode has it, which no engine can; the leaves have what is folded.
    if column is None or (criterion.operator == "ilike" and not column.number):
        return on_leaves(criterion, path, kind.resource, dialect)
    return on_column(criterion, column, dialect, at)


def chosen_after(kind: Kind, criteria: Sequence[Criterion], after: str, limit: int, dialect: Dialect) -> Part:
    """The documents that meet all criteria, in the order of their ids behind ``after``. Raises InvalidQuery."""
    conditions = [(each, kind.place(each.path, each.left).path, each.left) for each in criteria]
    sql, params = all_of([("d.id > ?", (after,)), *_conditions(kind, conditions, dialect)])
    columns = ", ".join(f"d.{name}" for name in kind.columns.split(", "))
    return f"SELECT {columns} FROM {kind.table} d WHERE {sql} ORDER BY d.id LIMIT ?", (*params, limit)
