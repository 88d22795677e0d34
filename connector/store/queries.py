"""Lists of negotiations, transfers, agreements and endpoint data references, narrowed by criteria over columns.

Fields are what EDC calls them; an unknown one is refused with all that there are. ``correlationId`` is the counterparty's process
id. A page is found through ids alone, so that what is skipped or sorted is small. Reads only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, cast

from connector.management.leaves import text_of
from connector.management.model import EDC, Criterion, QuerySpec, Scalar
from connector.management.states import IN_FLIGHT, NUMBERS, RESUMING
from connector.protocol.messages import PULL
from connector.protocol.record import Process
from connector.protocol.states import FINAL, Kind, Message, State
from connector.store.control import AGREEMENT_COLUMNS, process_of
from connector.store.criteria import Column, Dialect, Part, all_of, column_named, on_column
from connector.store.engine import Engine, Row, Statement
from connector.store.rows import Agreement
from connector.store.writes import PROCESS_COLUMNS

PROTOCOL: Final = "dataspace-protocol-http:2025-1"
Listed = Literal["negotiation", "transfer"]


@dataclass(frozen=True, slots=True)
class Reference:
    """An endpoint data reference of ours as consumer: the transfer that has it, of which agreement and negotiation it is, and the
    dataset (empty where the agreement is not known any more)."""

    transfer: Process
    agreement: str
    negotiation: str
    dataset: str


@dataclass(frozen=True, slots=True)
class _Source:
    """Where rows of a kind are: a table, the agreement ``g`` that belongs to a row where there is one, what always holds, the
    columns that tell one row from another, the fields, and the time that orders a list."""

    table: str
    joined: str
    always: Part
    keys: tuple[str, ...]
    fields: Mapping[str, Column]
    time: str

    def tables(self, *used: str) -> str:
        """What these expressions are about. Neither engine leaves a join out by itself where it counts."""
        return f"{self.table}{self.joined}" if any("g." in each for each in used) else self.table


def drop_reference(transfer_id: str, now_ms: int) -> Statement:
    """Put an endpoint data reference away; the transfer goes on. Loses the race if that was done before."""
    return Statement("INSERT INTO reference_dropped (transfer, at) VALUES (?, ?)", (transfer_id, now_ms))


class QueryStore:
    """Typed lists over either engine; ``own`` is our participant id.

    Raises InvalidQuery, and StoreUnavailable as the engine does.
    """

    def __init__(self, engine: Engine, own: str) -> None:
        self.engine = engine
        self._dialect: Dialect = "postgresql" if getattr(engine, "dialect", "") == "postgresql" else "sqlite"
        self._processes: Mapping[str, _Source] = {
            "negotiation": _negotiations(own),
            "transfer": _transfers(own, self._dialect),
        }
        self._agreements = _agreements(own)
        self._references = _references(self._dialect)

    async def processes(self, kind: Listed, spec: QuerySpec) -> list[Process]:
        """A page of negotiations or transfers, the oldest first where nothing else is said."""
        rows = await self._page(self._processes[kind], spec, f"process t ON t.id = q.{_key(0)}", _prefixed(PROCESS_COLUMNS))
        return [process_of(row) for row in rows]

    async def count_processes(self, kind: Listed, spec: QuerySpec) -> int:
        """How many negotiations or transfers meet the criteria."""
        return await self._count(self._processes[kind], spec)

    async def agreements(self, spec: QuerySpec) -> list[Agreement]:
        """A page of agreements that are not void."""
        same = " AND ".join(f"t.{name} = q.{_key(place)}" for place, name in enumerate(("counterparty", "role", "id")))
        rows = await self._page(self._agreements, spec, f"agreement t ON {same}", _prefixed(AGREEMENT_COLUMNS))
        return [Agreement(*cast("Any", row)) for row in rows]

    async def count_agreements(self, spec: QuerySpec) -> int:
        """How many agreements meet the criteria."""
        return await self._count(self._agreements, spec)

    async def references(self, spec: QuerySpec) -> list[Reference]:
        """A page of the endpoint data references that hold now: of transfers that have started, and that have no sink of ours."""
        joined = (
            f"process t ON t.id = q.{_key(0)} LEFT JOIN agreement w ON w.counterparty = t.counterparty AND w.role = t.role "
            "AND w.id = t.subject"
        )
        columns = f"{_prefixed(PROCESS_COLUMNS)}, w.negotiation_id, w.dataset"
        rows = await self._page(self._references, spec, joined, columns)
        return [_reference(row) for row in rows]

    async def count_references(self, spec: QuerySpec) -> int:
        """How many endpoint data references meet the criteria."""
        return await self._count(self._references, spec)

    async def reference(self, transfer_id: str) -> Reference | None:
        """The endpoint data reference of a transfer, if it has one that holds now and was not put away."""
        criterion = Criterion("id", ("id",), "=", transfer_id)
        found = await self.references(QuerySpec(limit=1, criteria=(criterion,)))
        return found[0] if found else None

    async def _page(self, source: _Source, spec: QuerySpec, joined: str, columns: str) -> list[Row]:
        order = _order(source, spec)
        way = " DESC" if spec.descending else ""
        where, params = _where(source, spec, self._dialect)
        keys = ", ".join(f"{sql} AS {_key(place)}" for place, sql in enumerate(source.keys))
        ties = [_key(place) for place in range(len(source.keys))]
        inner = ", ".join(f"{each}{way}" for each in ("k", *reversed(ties)))
        outer = ", ".join(f"q.{each}{way}" for each in ("k", *reversed(ties)))
        chosen = (
            f"SELECT {order.sql} AS k, {keys} FROM {source.tables(order.sql, where)} WHERE {where} ORDER BY {inner} "
            "LIMIT ? OFFSET ?"
        )
        sql = f"SELECT {columns} FROM ({chosen}) q JOIN {joined} ORDER BY {outer}"
        return await self.engine.fetch(sql, (*order.params, *params, spec.limit, spec.offset))

    async def _count(self, source: _Source, spec: QuerySpec) -> int:
        _order(source, spec)
        where, params = _where(source, spec, self._dialect)
        rows = await self.engine.fetch(f"SELECT count(*) FROM {source.tables(where)} WHERE {where}", params)
        return int(cast("int", rows[0][0]))


def _reference(row: Row) -> Reference:
    transfer = process_of(row[:-2])
    return Reference(transfer, transfer.subject, str(row[-2] or ""), str(row[-1] or transfer.detail.dataset or ""))


def _key(place: int) -> str:
    return f"k{place}"


def _prefixed(columns: str) -> str:
    return ", ".join(f"t.{name.strip()}" for name in columns.split(","))


def _names(path: Sequence[str]) -> list[str]:
    """The names of a path; EDC's namespace, and the sign of a keyword, may stand before each."""
    return [each.removeprefix(EDC).removeprefix("edc:").removeprefix("@") for each in path]


def _order(source: _Source, spec: QuerySpec) -> Column:
    if not spec.sort_path:
        return Column(source.time)
    return column_named(source.fields, _names(spec.sort_path), "sortField")


def _where(source: _Source, spec: QuerySpec, dialect: Dialect) -> Part:
    parts: list[Part] = []
    narrow = False
    for number, criterion in enumerate(spec.criteria):
        at = f"filterExpression[{number}]"
        column = column_named(source.fields, _names(criterion.path), f"{at}.operandLeft")
        parts.append(on_column(criterion, column, dialect, at))
        narrow = narrow or (column.narrow and criterion.operator in ("=", "in", "contains"))
    always, params = source.always
    if narrow and dialect == "sqlite":
        # SQLite has no statistics here, and would look through the whole kind so as not to sort what little there is.
        always = always.replace("p.kind =", "+p.kind =")
    return all_of([(always, params), *parts])


# -- fields -----------------------------------------------------------------------------------------------------------------


def _negotiations(own: str) -> _Source:
    agreement = Column("g.id", narrow=True)
    asset = Column("p.subject", narrow=True)
    fields = {
        **_of_process(Kind.NEGOTIATION),
        "agreementId": agreement,
        "assetId": asset,
        "contractAgreement.agreementId": agreement,
        "contractAgreement.assetId": Column("g.dataset", narrow=True),
        "contractAgreement.id": agreement,
        "contractAgreementId": agreement,
        "contractOffers.assetId": asset,
        **{f"contractAgreement.{name}": column for name, column in _parties(own, "g").items()},
        "contractAgreement.contractSigningDate": Column("g.created_at / 1000", number=True),
    }
    joined = " LEFT JOIN agreement g ON g.negotiation_id = p.id"
    return _Source("process p", joined, ("p.kind = ?", (Kind.NEGOTIATION.value,)), ("p.id",), fields, "p.created_at")


def _transfers(own: str, dialect: Dialect) -> _Source:
    agreement = Column("p.subject", narrow=True)
    fields = {
        **_of_process(Kind.TRANSFER),
        "agreementId": agreement,
        "assetId": Column("g.dataset", narrow=True),
        "contractAgreementId": agreement,
        "contractId": agreement,
        "contractNegotiationId": Column("g.negotiation_id", narrow=True),
        "transferType": Column(f"coalesce({_member('format', dialect)}, '{PULL}')"),
        **_parties(own, "p"),
    }
    always: Part = ("p.kind = ?", (Kind.TRANSFER.value,))
    return _Source("process p", _OF_TRANSFER, always, ("p.id",), fields, "p.created_at")


def _references(dialect: Dialect) -> _Source:
    agreement = Column("p.subject", narrow=True)
    fields = {
        "id": Column("p.id", narrow=True),
        "transferProcessId": Column("p.id", narrow=True),
        "agreementId": agreement,
        "contractAgreementId": agreement,
        "contractId": agreement,
        "assetId": Column("g.dataset", narrow=True),
        "contractNegotiationId": Column("g.negotiation_id", narrow=True),
        "counterPartyId": Column("p.counterparty"),
        "createdAt": Column("p.created_at", number=True),
        "providerId": Column("p.counterparty"),
        "transferType": Column(f"coalesce({_member('format', dialect)}, '{PULL}')"),
    }
    always = (
        f"p.kind = ? AND p.role = 'consumer' AND p.state = 'STARTED' AND {_member('data_address', dialect)} IS NOT NULL "
        f"AND {_member('sink', dialect)} IS NULL AND NOT EXISTS (SELECT 1 FROM reference_dropped e WHERE e.transfer = p.id)"
    )
    return _Source("process p", _OF_TRANSFER, (always, (Kind.TRANSFER.value,)), ("p.id",), fields, "p.created_at")


def _agreements(own: str) -> _Source:
    parties = _parties(own, "g")
    asset = Column("g.dataset", narrow=True)
    negotiation = Column("g.negotiation_id", narrow=True)
    fields = {
        "id": Column("g.id", narrow=True),
        "agreementId": Column("g.id", narrow=True),
        "assetId": asset,
        **parties,
        "contractNegotiationId": negotiation,
        "contractSigningDate": Column("g.created_at / 1000", number=True),
        "counterPartyId": Column("g.counterparty"),
        "createdAt": Column("g.created_at", number=True),
        "negotiationId": negotiation,
        "policy.assignee": parties["consumerId"],
        "policy.assigner": parties["providerId"],
        "policy.target": asset,
        "type": Column("upper(g.role)"),
    }
    return _Source("agreement g", "", ("g.state <> 'void'", ()), ("g.counterparty", "g.role", "g.id"), fields, "g.created_at")


_OF_TRANSFER: Final = " LEFT JOIN agreement g ON g.counterparty = p.counterparty AND g.role = p.role AND g.id = p.subject"


def _of_process(kind: Kind) -> dict[str, Column]:
    updated = Column("p.updated_at", number=True)
    return {
        "id": Column("p.id", narrow=True),
        "type": Column("upper(p.role)"),
        "protocol": Column(f"'{PROTOCOL}'"),
        "state": Column(_STATE, read=partial(_state_named, kind), ordered=False),
        "stateTimestamp": updated,
        "updatedAt": updated,
        "createdAt": Column("p.created_at", number=True),
        "counterPartyId": Column("p.counterparty"),
        "counterPartyAddress": Column("p.peer_address"),
        "correlationId": Column("p.peer_pid"),
    }


def _parties(own: str, row: str) -> dict[str, Column]:
    def side(role: str) -> Column:
        return Column(f"CASE WHEN {row}.role = '{role}' THEN ? ELSE {row}.counterparty END", params=(own,))

    return {"consumerId": side("consumer"), "providerId": side("provider")}


def _member(name: str, dialect: Dialect) -> str:
    """A member of the detail of a process, as text; a null is none."""
    return f"(p.detail::jsonb ->> '{name}')" if dialect == "postgresql" else f"json_extract(p.detail, '$.{name}')"


def _state_named(kind: Kind, value: Scalar) -> Scalar:
    text = text_of(value)
    return NUMBERS[kind].get(int(text), text) if text.isascii() and text.isdigit() else text


def _state_sql(quoted: Callable[[str], str]) -> str:
    """``states.edc_state`` over the columns of a process."""
    over = ", ".join(quoted(each.value) for each in sorted(FINAL))
    start, suspended = quoted(Message.START.value), quoted(State.SUSPENDED.value)
    words = " ".join(f"WHEN {quoted(message.value)} THEN {quoted(name)}" for message, name in IN_FLIGHT.items())
    return (
        f"CASE WHEN p.awaiting IS NULL OR p.state IN ({over}) THEN p.state "
        f"WHEN p.awaiting = {start} AND p.state = {suspended} THEN {quoted(RESUMING)} "
        f"ELSE CASE p.awaiting {words} ELSE p.state END END"
    )


_STATE: Final = _state_sql(lambda text: f"'{text}'")
