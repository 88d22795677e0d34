"""Pages of documents that have their leaves in the table ``property``: which rows, in which order, and how many. No I/O.

A page costs what it holds as far as an index has its order: by time, by a column, by a property, and by time among the documents
with a value. Skipping costs an entry of an index for each that is skipped. Imports the SQL of criteria and what paths mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from connector.management.leaves import Path, Place, head_of, text_of
from connector.management.model import Criterion, QuerySpec
from connector.store.criteria import Column, Dialect, Part, all_of, on_column, on_leaves, path_text

_TIME: Final = "createdAt"


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

    source: str
    where: Part
    key: str

    def page(self, kind: Kind, limit: int, offset: int, *, descending: bool) -> Part:
        """The documents from ``offset``, at most ``limit``."""
        way = " DESC" if descending else ""
        sql, params = self.where
        chosen = (
            f"SELECT d.id AS id, {self.key} AS k FROM {self.source} d WHERE {sql} ORDER BY {self.key}{way}, d.id{way} "
            "LIMIT ? OFFSET ?"
        )
        columns = ", ".join(f"t.{name}" for name in kind.columns.split(", "))
        return (
            f"SELECT {columns} FROM ({chosen}) q CROSS JOIN {kind.table} t WHERE t.id = q.id ORDER BY q.k{way}, q.id{way}",
            (*params, limit, offset),
        )

    def count(self) -> Part:
        """How many there are."""
        sql, params = self.where
        return f"SELECT count(*) FROM {self.source} d WHERE {sql}", params


@dataclass(frozen=True, slots=True)
class Plan:
    """A list in its parts, one behind the other, and the paths that are only assumed to lead somewhere, with where they stood."""

    parts: tuple[Listing, ...]
    assumed: tuple[tuple[Path, str], ...]


def planned(kind: Kind, spec: QuerySpec, dialect: Dialect) -> Plan:
    """How a list is made. Raises Invalid for a field that there is not, or an operand that does not fit."""
    assumed: list[tuple[Path, str]] = []
    conditions: list[tuple[Criterion, Path, str]] = []
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
    return Plan(_parts(kind, conditions, order, dialect), tuple(assumed))


def _parts(kind: Kind, conditions: Sequence[tuple[Criterion, Path, str]], order: Path, dialect: Dialect) -> tuple[Listing, ...]:
    column = kind.fields.get(".".join(order))
    if column is None:
        return _by_property(kind, conditions, order, dialect)
    driver = _driver(kind, conditions) if order == (_TIME,) else None
    if driver is None:
        return (Listing(kind.table, all_of(_conditions(kind, conditions, dialect)), column.sql),)
    criterion, path, _ = driver
    first: Part = (
        "d.resource = ? AND d.path = ? AND d.head = ?",
        (kind.resource, path_text(path), _head(criterion)),
    )
    others = _conditions(kind, [each for each in conditions if each is not driver], dialect)
    return (Listing("property", all_of([first, *others]), column.sql),)


def _by_property(
    kind: Kind, conditions: Sequence[tuple[Criterion, Path, str]], order: Path, dialect: Dialect
) -> tuple[Listing, ...]:
    """Those that have the property in its order; behind them those without it, by time."""
    key = (kind.resource, path_text(order))
    parts = _conditions(kind, conditions, dialect)
    sorted_: Part = ("d.resource = ? AND d.path = ? AND d.first = 1", key)
    lacking: Part = ("NOT EXISTS (SELECT 1 FROM property v WHERE v.resource = ? AND v.id = d.id AND v.path = ?)", key)
    if all(_has_id_and_time_only(path) or path[0] not in kind.fields for _, path, _ in conditions):
        first = Listing("property", all_of([sorted_, *parts]), "d.rank")
    else:
        inner = f"(SELECT t.*, w.resource, w.path, w.first, w.rank FROM property w CROSS JOIN {kind.table} t WHERE t.id = w.id)"
        first = Listing(inner, all_of([sorted_, *parts]), "d.rank")
    return (first, Listing(kind.table, all_of([lacking, *parts]), "d.created_at"))


def _driver(kind: Kind, conditions: Sequence[tuple[Criterion, Path, str]]) -> tuple[Criterion, Path, str] | None:
    """The condition whose index has the order of time, too; the table ``property`` knows id and time of a document itself."""
    if any(path[0] in kind.fields and not _has_id_and_time_only(path) for _, path, _ in conditions):
        return None
    if any(path == ("id",) and criterion.operator in ("=", "in", "contains") for criterion, path, _ in conditions):
        return None
    return next((each for each in conditions if each[0].operator in ("=", "contains") and each[1][0] not in kind.fields), None)


def _has_id_and_time_only(path: Path) -> bool:
    return path in (("id",), (_TIME,))


def _head(criterion: Criterion) -> str:
    right = criterion.right
    return head_of(text_of(right[0] if isinstance(right, tuple) else right))


def _conditions(kind: Kind, conditions: Sequence[tuple[Criterion, Path, str]], dialect: Dialect) -> list[Part]:
    return [_condition(kind, each, path, at, dialect) for each, path, at in conditions]


def _condition(kind: Kind, criterion: Criterion, path: Path, at: str, dialect: Dialect) -> Part:
    column = kind.fields.get(".".join(path))
    # Case is folded as Unicode has it, which no engine can; the leaves have what is folded.
    if column is None or (criterion.operator == "ilike" and not column.number):
        return on_leaves(criterion, path, kind.resource, dialect)
    return on_column(criterion, column, dialect, at)


def chosen_after(kind: Kind, criteria: Sequence[Criterion], after: str, limit: int, dialect: Dialect) -> Part:
    """The documents that meet all criteria, in the order of their ids behind ``after``. Raises Invalid."""
    conditions = [(each, kind.place(each.path, each.left).path, each.left) for each in criteria]
    sql, params = all_of([("d.id > ?", (after,)), *_conditions(kind, conditions, dialect)])
    columns = ", ".join(f"d.{name}" for name in kind.columns.split(", "))
    return f"SELECT {columns} FROM {kind.table} d WHERE {sql} ORDER BY d.id LIMIT ?", (*params, limit)
