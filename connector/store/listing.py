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
from connector.store.criteria import (
    Column,
    Dialect,
    Part,
    all_of,
    documents_with,
    leads,
    on_column,
    on_leaves,
    on_own_leaves,
    path_text,
)

_TIME: Final = "createdAt"
_LOOKED_UP: Final = 2
"""How much more it costs to look at a document than to gather one."""
Condition = tuple[Criterion, Path, str]
"""A criterion, where it leads, and where it stood."""
Making = Callable[["Kind", Criterion, Path, str, Dialect], Part]
"""How a condition becomes SQL about ``d``."""


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
    """What a list asks for: its conditions and its order, and the paths that are only assumed to lead somewhere, with where they
    stood."""

    kind: Kind
    spec: QuerySpec
    dialect: Dialect
    conditions: tuple[Condition, ...]
    order: Path
    assumed: tuple[tuple[Path, str], ...]

    def rivals(self) -> tuple[Condition, ...]:
        """Conditions on one value each: where there are several, a list is best made from the rarest."""
        if not _known_to_property(self.kind, self.conditions):
            return ()
        equal = [each for each in self.conditions if each[1][0] not in self.kind.fields and _equal(each)]
        return tuple(equal) if len(equal) > 1 else ()

    def alone(self, condition: Condition) -> Listing:
        """All that meet one condition."""
        return _by_time(self.kind, (condition,), self.dialect, _driver(self.kind, (condition,)))

    def whole(self, rarest: Condition | None = None) -> Listing:
        """All that is asked for."""
        driver = rarest or _driver(self.kind, self.conditions)
        return _by_time(self.kind, self.conditions, self.dialect, driver, _own_condition if _equal(driver) else None)

    def parts(self, held: int, total: int, rarest: Condition | None = None) -> tuple[Listing, ...]:
        """The list in its parts, one behind the other, as it is best made where ``total`` of all that are ``held`` meet the
        conditions."""
        met_soon = self._met_soon(held, total)
        if self.order == (_TIME,):
            return (self._by_time(rarest or _driver(self.kind, self.conditions), met_soon=met_soon),)
        condition = _own_condition if met_soon else _condition
        column = self.kind.fields.get(".".join(self.order))
        if column is None:
            return _by_property(self.kind, self.conditions, self.order, self.dialect, condition)
        found = all_of(_conditions(self.kind, self.conditions, self.dialect, condition))
        return (Listing((self.kind.table, ()), found, column.sql),)

    def _met_soon(self, held: int, total: int) -> bool:
        """Whether the page is full earlier when one goes through the documents in order than when all that meet the conditions
        are gathered first, for which it takes all documents where no index leads to them."""
        gathered = total if all(leads(each, self.dialect) for each, _, _ in self.conditions) else held
        return _LOOKED_UP * (self.spec.offset + self.spec.limit) * held <= total * gathered

    def _by_time(self, driver: Condition | None, *, met_soon: bool) -> Listing:
        kind, dialect = self.kind, self.dialect
        if _equal(driver):
            # An index has its order. The others are looked up for what it leads to.
            return _by_time(kind, self.conditions, dialect, driver, _own_condition)
        if met_soon:
            found = all_of(_conditions(kind, self.conditions, dialect, _own_condition))
            return Listing((kind.table, ()), found, "d.created_at")
        first: Part | None = None
        if len(self.conditions) == 1:
            way = " DESC" if self.spec.descending else ""
            first = (f" ORDER BY v.created_at{way}, v.id{way} LIMIT ?", (self.spec.offset + self.spec.limit,))
        return _by_time(kind, self.conditions, dialect, driver, first=first)


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
    return Plan(kind, spec, dialect, tuple(conditions), order, tuple(assumed))


def _by_time(
    kind: Kind,
    conditions: Sequence[Condition],
    dialect: Dialect,
    driver: Condition | None,
    condition: Making | None = None,
    first: Part | None = None,
) -> Listing:
    source: Part = (kind.table, ())
    if driver is not None:
        criterion, path, _ = driver
        source = documents_with(criterion, path, kind.resource, dialect, first)
    others = _conditions(kind, [each for each in conditions if each is not driver], dialect, condition)
    return Listing(source, all_of(others), "d.created_at")


def _by_property(
    kind: Kind, conditions: Sequence[Condition], order: Path, dialect: Dialect, condition: Making
) -> tuple[Listing, ...]:
    """Those that have the property in its order; behind them those without it, by time."""
    key = (kind.resource, path_text(order))
    parts = _conditions(kind, conditions, dialect, condition)
    having: Part = ("d.resource = ? AND d.path = ? AND d.first = 1", key)
    lacking: Part = ("NOT EXISTS (SELECT 1 FROM property v WHERE v.resource = ? AND v.id = d.id AND v.path = ?)", key)
    source = "property"
    if not _known_to_property(kind, conditions):
        source = f"(SELECT t.*, w.resource, w.path, w.first, w.rank FROM property w CROSS JOIN {kind.table} t WHERE t.id = w.id)"
    first = Listing((source, ()), all_of([having, *parts]), "d.rank")
    return (first, Listing((kind.table, ()), all_of([lacking, *parts]), "d.created_at"))


def _equal(condition: Condition | None) -> bool:
    return condition is not None and condition[0].operator in ("=", "contains")


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
    **{"=": 0, "contains": 0, "in": 1, "<": 2, "<=": 2, ">": 2, ">=": 2, "like": 3, "ilike": 3, "!=": 4, "notin": 4},
}


def _known_to_property(kind: Kind, conditions: Sequence[Condition]) -> bool:
    return all(path in (("id",), (_TIME,)) or path[0] not in kind.fields for _, path, _ in conditions)


def _conditions(kind: Kind, conditions: Sequence[Condition], dialect: Dialect, condition: Making | None = None) -> list[Part]:
    return [(condition or _condition)(kind, each, path, at, dialect) for each, path, at in conditions]


def _condition(kind: Kind, criterion: Criterion, path: Path, at: str, dialect: Dialect) -> Part:
    column = _column(kind, criterion, path)
    return on_leaves(criterion, path, kind.resource, dialect) if column is None else on_column(criterion, column, dialect, at)


def _own_condition(kind: Kind, criterion: Criterion, path: Path, at: str, dialect: Dialect) -> Part:
    column = _column(kind, criterion, path)
    return on_own_leaves(criterion, path, kind.resource, dialect) if column is None else on_column(criterion, column, dialect, at)


def _column(kind: Kind, criterion: Criterion, path: Path) -> Column | None:
    column = kind.fields.get(".".join(path))
    # Case is folded as Unicode has it, which no engine can; the leaves have what is folded.
    return None if column is not None and criterion.operator == "ilike" and not column.number else column


def chosen_after(kind: Kind, criteria: Sequence[Criterion], after: str, limit: int, dialect: Dialect) -> Part:
    """The documents that meet all criteria, in the order of their ids behind ``after``. Raises InvalidQuery."""
    conditions = [(each, kind.place(each.path, each.left).path, each.left) for each in criteria]
    sql, params = all_of([("d.id > ?", (after,)), *_conditions(kind, conditions, dialect)])
    columns = ", ".join(f"d.{name}" for name in kind.columns.split(", "))
    return f"SELECT {columns} FROM {kind.table} d WHERE {sql} ORDER BY d.id LIMIT ?", (*params, limit)
