"""Assets, policies, contract definitions and secrets in the control database: guarded writes, and reads.

The only place with the SQL of their tables. What can be asked for of a document stands in the table ``property`` as well, and is
written with it. A write is a list of statements, to be committed with whatever belongs to it; losing the race means that somebody
else was there before, or that a guard holds: read again to learn which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

import msgspec

from connector.management.invalid import InvalidQuery
from connector.management.leaves import (
    Path,
    asset_place,
    definition_place,
    folded,
    leaves,
    of_asset,
    of_definition,
    of_policy,
    policy_place,
)
from connector.management.model import Asset, ContractDefinition, Criterion, PolicyDefinition, QuerySpec, SecretEntry
from connector.management.queryspec import criteria, document_of
from connector.store.criteria import Column, Dialect, path_text
from connector.store.engine import Engine, Row, Statement, Value
from connector.store.listing import Condition, Kind, Listing, Plan, chosen_after, planned
from connector.store.totals import Totals

AT_ONCE: Final = 50
"""Leaves written in one statement."""

_T = TypeVar("_T")
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_ID_AND_TIME: Final = {"id": Column("d.id"), "createdAt": Column("d.created_at", number=True)}
_ASSET: Final = Kind(
    "asset", "asset", "id, properties, private_properties, data_address, created_at, version", asset_place, _ID_AND_TIME
)
_POLICY: Final = Kind(
    "policy_definition", "policy", "id, policy, private_properties, created_at, version", policy_place, _ID_AND_TIME
)
_DEFINITION: Final = Kind(
    "contract_definition",
    "definition",
    "id, access_policy, contract_policy, selector, private_properties, created_at, version",
    definition_place,
    {**_ID_AND_TIME, "accessPolicyId": Column("d.access_policy"), "contractPolicyId": Column("d.contract_policy")},
)
NOT_BEGUN: Final = ""
"""How far a contract definition has come through the assets when it has not begun."""


# -- writes -----------------------------------------------------------------------------------------------------------------


def insert_asset(asset: Asset) -> list[Statement]:
    """A new asset; loses the race if there is one of this id. Its version becomes 1."""
    values = (asset.id, *_asset_texts(asset), asset.created_at, asset.created_at)
    sql = (
        "INSERT INTO asset (id, properties, private_properties, data_address, created_at, updated_at, version) "
        "VALUES (?, ?, ?, ?, ?, ?, 1)"
    )
    return [Statement(sql, values), _tallied(_ASSET, 1), *_leaves(_ASSET, asset.id, asset.created_at, of_asset(asset))]


def update_asset(asset: Asset, now_ms: int) -> list[Statement]:
    """The changed asset, if ``asset.version`` and ``asset.created_at`` are as they are stored; the version is then one more."""
    sql = (
        "UPDATE asset SET properties = ?, private_properties = ?, data_address = ?, updated_at = ?, version = version + 1 "
        "WHERE id = ? AND version = ? AND created_at = ?"
    )
    guarded = Statement(sql, (*_asset_texts(asset), now_ms, asset.id, asset.version, asset.created_at))
    return [
        guarded,
        _tallied(_ASSET, 0),
        _forget(_ASSET, asset.id),
        *_leaves(_ASSET, asset.id, asset.created_at, of_asset(asset)),
    ]


def delete_asset(asset_id: str) -> list[Statement]:
    """Forget an asset; loses the race if there is none, or an agreement of ours as provider is about it."""
    sql = (
        "DELETE FROM asset WHERE id = ? AND NOT EXISTS (SELECT 1 FROM agreement "
        "WHERE dataset = ? AND role = 'provider' AND state <> 'void')"
    )
    return [Statement(sql, (asset_id, asset_id)), _tallied(_ASSET, -1), _forget(_ASSET, asset_id)]


def insert_policy(policy: PolicyDefinition) -> list[Statement]:
    """A new policy; loses the race if there is one of this id. Its version becomes 1."""
    columns = "id, policy, private_properties, created_at, updated_at, version"
    sql = f"INSERT INTO policy_definition ({columns}) VALUES (?, ?, ?, ?, ?, 1)"
    values = (policy.id, _text(policy.policy), _text(policy.private_properties), policy.created_at, policy.created_at)
    return [Statement(sql, values), _tallied(_POLICY, 1), *_leaves(_POLICY, policy.id, policy.created_at, of_policy(policy))]


def update_policy(policy: PolicyDefinition, now_ms: int) -> list[Statement]:
    """The changed policy, if its version and ``created_at`` are as they are stored; the version is then one more."""
    sql = (
        "UPDATE policy_definition SET policy = ?, private_properties = ?, updated_at = ?, version = version + 1 "
        "WHERE id = ? AND version = ? AND created_at = ?"
    )
    texts = (_text(policy.policy), _text(policy.private_properties))
    guarded = Statement(sql, (*texts, now_ms, policy.id, policy.version, policy.created_at))
    new = _leaves(_POLICY, policy.id, policy.created_at, of_policy(policy))
    return [guarded, _tallied(_POLICY, 0), _forget(_POLICY, policy.id), *new]


def delete_policy(policy_id: str) -> list[Statement]:
    """Forget a policy; loses the race if there is none, or a contract definition uses it."""
    sql = (
        "DELETE FROM policy_definition WHERE id = ? AND NOT EXISTS (SELECT 1 FROM contract_definition WHERE access_policy = ?) "
        "AND NOT EXISTS (SELECT 1 FROM contract_definition WHERE contract_policy = ?)"
    )
    # First the row alone, so that the guard sees definitions which were made while we waited for it.
    return [_hold(policy_id), Statement(sql, (policy_id,) * 3), _tallied(_POLICY, -1), _forget(_POLICY, policy_id)]


def insert_definition(definition: ContractDefinition) -> list[Statement]:
    """A new contract definition, which has not begun to look through the assets.

    Loses the race if there is one of this id, or one of its policies is missing.
    """
    sql = (
        "INSERT INTO contract_definition (id, access_policy, contract_policy, selector, private_properties, created_at, "
        "updated_at, version, reached) VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?)"
    )
    values = (definition.id, *_definition_texts(definition), definition.created_at, definition.created_at, NOT_BEGUN)
    return [
        *_held(definition),
        Statement(sql, values),
        _tallied(_DEFINITION, 1),
        *_leaves(_DEFINITION, definition.id, definition.created_at, of_definition(definition)),
    ]


def update_definition(definition: ContractDefinition, now_ms: int) -> list[Statement]:
    """The changed definition, which begins to look through the assets anew; the version is then one more.

    Loses the race unless its version and ``created_at`` are as they are stored, and its policies are there.
    """
    sql = (
        "UPDATE contract_definition SET access_policy = ?, contract_policy = ?, selector = ?, private_properties = ?, "
        "updated_at = ?, version = version + 1, reached = ? WHERE id = ? AND version = ? AND created_at = ?"
    )
    values = (*_definition_texts(definition), now_ms, NOT_BEGUN, definition.id, definition.version, definition.created_at)
    return [
        *_held(definition),
        Statement(sql, values),
        _tallied(_DEFINITION, 0),
        _forget(_DEFINITION, definition.id),
        *_leaves(_DEFINITION, definition.id, definition.created_at, of_definition(definition)),
    ]


def reach(definition_id: str, version: int, asset_id: str | None) -> Statement:
    """This version has looked through the assets up to this one; None: through all. Loses the race if the version is another."""
    return Statement(
        "UPDATE contract_definition SET reached = ? WHERE id = ? AND version = ?", (asset_id, definition_id, version)
    )


def begin_again(policy_id: str) -> Statement:
    """Every contract definition that uses a policy has to look through the assets anew."""
    sql = "UPDATE contract_definition SET reached = ? WHERE access_policy = ? OR contract_policy = ?"
    return Statement(sql, (NOT_BEGUN, policy_id, policy_id), expect=None)


def delete_definition(definition_id: str) -> list[Statement]:
    """Forget a contract definition; loses the race if there is none."""
    delete = Statement("DELETE FROM contract_definition WHERE id = ?", (definition_id,))
    return [delete, _tallied(_DEFINITION, -1), _forget(_DEFINITION, definition_id)]


def insert_secret(secret_id: str, sealed: bytes, now_ms: int) -> Statement:
    """A new secret; loses the race if there is one of this id."""
    sql = "INSERT INTO secret (id, sealed, created_at, updated_at) VALUES (?, ?, ?, ?)"
    return Statement(sql, (secret_id, sealed, now_ms, now_ms))


def update_secret(secret_id: str, sealed: bytes, now_ms: int) -> Statement:
    """Another value; loses the race if there is no such secret."""
    return Statement("UPDATE secret SET sealed = ?, updated_at = ? WHERE id = ?", (sealed, now_ms, secret_id))


def delete_secret(secret_id: str) -> Statement:
    """Forget a secret; loses the race if there is none."""
    return Statement("DELETE FROM secret WHERE id = ?", (secret_id,))


def _text(document: Mapping[str, Any] | Sequence[Any]) -> str:
    return msgspec.json.encode(document).decode()


def _asset_texts(asset: Asset) -> tuple[Value, ...]:
    address = asset.data_address
    return _text(asset.properties), _text(asset.private_properties), None if address is None else _text(address)


def _definition_texts(definition: ContractDefinition) -> tuple[Value, ...]:
    selector = _text([document_of(each) for each in definition.selector])
    return definition.access_policy, definition.contract_policy, selector, _text(definition.private_properties)


def _hold(policy_id: str) -> Statement:
    return Statement("UPDATE policy_definition SET version = version WHERE id = ?", (policy_id,))


def _held(definition: ContractDefinition) -> list[Statement]:
    """The policies of a definition stay while it is written; always in one order, so that no two wait for each other."""
    return [_hold(each) for each in sorted({definition.access_policy, definition.contract_policy})]


def _tallied(kind: Kind, more: int) -> Statement:
    return Statement("UPDATE tally SET held = held + ?, changes = changes + 1 WHERE resource = ?", (more, kind.resource))


def _forget(kind: Kind, document_id: str) -> Statement:
    return Statement("DELETE FROM property WHERE resource = ? AND id = ?", (kind.resource, document_id), expect=None)


def _leaves(kind: Kind, document_id: str, created_at: int, document: Mapping[str, Any]) -> list[Statement]:
    rows: list[tuple[Value, ...]] = []
    seen: set[Path] = set()
    for leaf in leaves(document):
        first = int(leaf.path not in seen)
        seen.add(leaf.path)
        same = None if leaf.text is None else folded(leaf.text)
        rows.append((kind.resource, document_id, path_text(leaf.path), first, leaf.head, leaf.rank, leaf.text, same, created_at))
    return [_insert_leaves(rows[start : start + AT_ONCE]) for start in range(0, len(rows), AT_ONCE)]


def _insert_leaves(rows: Sequence[tuple[Value, ...]]) -> Statement:
    sql = "INSERT INTO property (resource, id, path, first, head, rank, sought, folded, created_at) VALUES "
    slots = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?)"] * len(rows))
    return Statement(sql + slots, tuple(value for row in rows for value in row), expect=len(rows))


# -- reads ------------------------------------------------------------------------------------------------------------------


def _asset(row: Row) -> Asset:
    value: Any = row
    address = None if value[3] is None else _decode(value[3])
    return Asset(value[0], _decode(value[1]), _decode(value[2]), address, value[4], value[5])


def _policy(row: Row) -> PolicyDefinition:
    value: Any = row
    return PolicyDefinition(value[0], _decode(value[1]), _decode(value[2]), value[3], value[4])


def _definition(row: Row) -> ContractDefinition:
    value: Any = row
    selector = criteria(msgspec.json.decode(value[3]), "assetsSelector")
    return ContractDefinition(value[0], value[1], value[2], selector, _decode(value[4]), value[5], value[6])


class DefinitionStore:
    """Typed reads of definitions over either engine. Raises StoreUnavailable where the engine does; lists raise InvalidQuery."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.dialect: Dialect = "postgresql" if getattr(engine, "dialect", "") == "postgresql" else "sqlite"
        self._totals = Totals()

    async def asset(self, asset_id: str) -> Asset | None:
        """An asset by its id."""
        return await self._one(_ASSET, _asset, asset_id)

    async def assets(self, spec: QuerySpec) -> list[Asset]:
        """A page of assets: the oldest first where nothing else is said; those that lack what they are sorted by come last."""
        return await self._page(_ASSET, _asset, spec)

    async def count_assets(self, spec: QuerySpec) -> int:
        """How many assets meet the criteria."""
        return await self._count(_ASSET, spec)

    async def assets_after(self, after: str, limit: int, selector: Sequence[Criterion] = ()) -> list[Asset]:
        """The next assets by id that meet every criterion of a selector. Raises InvalidQuery for a path that cannot be."""
        return await self._after(_ASSET, _asset, after, limit, selector)

    async def policy(self, policy_id: str) -> PolicyDefinition | None:
        """A policy by its id."""
        return await self._one(_POLICY, _policy, policy_id)

    async def policies(self, spec: QuerySpec) -> list[PolicyDefinition]:
        """A page of policies."""
        return await self._page(_POLICY, _policy, spec)

    async def count_policies(self, spec: QuerySpec) -> int:
        """How many policies meet the criteria."""
        return await self._count(_POLICY, spec)

    async def definition(self, definition_id: str) -> ContractDefinition | None:
        """A contract definition by its id."""
        return await self._one(_DEFINITION, _definition, definition_id)

    async def definitions(self, spec: QuerySpec) -> list[ContractDefinition]:
        """A page of contract definitions."""
        return await self._page(_DEFINITION, _definition, spec)

    async def count_definitions(self, spec: QuerySpec) -> int:
        """How many contract definitions meet the criteria."""
        return await self._count(_DEFINITION, spec)

    async def definitions_after(self, after: str, limit: int) -> list[ContractDefinition]:
        """The next contract definitions by id."""
        return await self._after(_DEFINITION, _definition, after, limit, ())

    async def definitions_using(self, policy_id: str, limit: int = 10_000) -> list[str]:
        """The ids of contract definitions that use a policy, in their order."""
        sql = "SELECT id FROM contract_definition WHERE access_policy = ? OR contract_policy = ? ORDER BY id"
        return [cast("str", row[0]) for row in await self.engine.fetch(sql, (policy_id, policy_id), limit=limit)]

    async def reached(self, definition_id: str) -> tuple[int, str | None] | None:
        """(version, how far it has looked through the assets: None: through all) of a contract definition."""
        rows = await self.engine.fetch("SELECT version, reached FROM contract_definition WHERE id = ?", (definition_id,))
        return cast("tuple[int, str | None]", rows[0]) if rows else None

    async def unfinished(self, limit: int = 100) -> list[tuple[str, int, str]]:
        """(id, version, how far it has come) of contract definitions that have not looked through all assets."""
        sql = "SELECT id, version, reached FROM contract_definition WHERE reached IS NOT NULL ORDER BY id"
        return [cast("tuple[str, int, str]", row) for row in await self.engine.fetch(sql, (), limit=limit)]

    async def offered_under(self, definition_id: str, after: str, limit: int) -> list[str]:
        """The next datasets by id that have an offer of a contract definition."""
        sql = "SELECT DISTINCT dataset FROM offer WHERE definition = ? AND definition <> '' AND dataset > ? ORDER BY dataset"
        return [cast("str", row[0]) for row in await self.engine.fetch(sql, (definition_id, after), limit=limit)]

    async def secret(self, secret_id: str) -> SecretEntry | None:
        """That a secret is there, and since when."""
        rows = await self.engine.fetch("SELECT id, created_at, updated_at FROM secret WHERE id = ?", (secret_id,))
        return SecretEntry(*cast("Any", rows[0])) if rows else None

    async def secrets(self, after: str, limit: int) -> list[SecretEntry]:
        """The next secrets by id."""
        sql = "SELECT id, created_at, updated_at FROM secret WHERE id > ? ORDER BY id LIMIT ?"
        return [SecretEntry(*cast("Any", row)) for row in await self.engine.fetch(sql, (after, limit))]

    async def sealed(self, secret_id: str) -> bytes | None:
        """The value of a secret, as it is sealed."""
        rows = await self.engine.fetch("SELECT sealed FROM secret WHERE id = ?", (secret_id,))
        return cast("bytes", rows[0][0]) if rows else None

    async def _one(self, kind: Kind, read: Callable[[Row], _T], document_id: str) -> _T | None:
        rows = await self.engine.fetch(f"SELECT {kind.columns} FROM {kind.table} WHERE id = ?", (document_id,))
        return read(rows[0]) if rows else None

    async def _after(
        self, kind: Kind, read: Callable[[Row], _T], after: str, limit: int, selector: Sequence[Criterion]
    ) -> list[_T]:
        sql, params = chosen_after(kind, selector, after, limit, self.dialect)
        return [read(row) for row in await self.engine.fetch(sql, params)]

    async def _page(self, kind: Kind, read: Callable[[Row], _T], spec: QuerySpec) -> list[_T]:
        plan = planned(kind, spec, self.dialect)
        held, total, rarest = 0, 0, None
        if spec.criteria or plan.assumed:
            held, changes = await self._tally(kind)
            await self._check(plan, changes)
            rarest = await self._rarest(plan, changes)
            total = await self._total(plan.whole(rarest), changes) if spec.criteria else held
        rows: list[Row] = []
        skipped = spec.offset
        for listing in plan.parts(held, total, rarest):
            sql, params = listing.page(kind, spec.limit - len(rows), skipped, descending=spec.descending)
            found = await self.engine.fetch(sql, params)
            rows += found
            if len(rows) == spec.limit:
                break
            skipped = 0 if found or not skipped else skipped - await self._counted(listing)
        return [read(row) for row in rows]

    async def _count(self, kind: Kind, spec: QuerySpec) -> int:
        plan = planned(kind, spec, self.dialect)
        held, changes = await self._tally(kind)
        await self._check(plan, changes)
        return await self._total(plan.whole(await self._rarest(plan, changes)), changes) if spec.criteria else held

    async def _tally(self, kind: Kind) -> tuple[int, int]:
        """How many there are, and how often one has been written."""
        rows = await self.engine.fetch("SELECT held, changes FROM tally WHERE resource = ?", (kind.resource,))
        return cast("tuple[int, int]", rows[0])

    async def _rarest(self, plan: Plan, changes: int) -> Condition | None:
        """Of several conditions on one value each, that which the fewest meet."""
        sizes = [(await self._total(plan.alone(each), changes), place) for place, each in enumerate(plan.rivals())]
        return plan.rivals()[min(sizes)[1]] if sizes else None

    async def _total(self, listing: Listing, changes: int) -> int:
        """How many a listing has; counted once for as long as nothing changes."""
        counting = listing.count()
        total = self._totals.known(counting, changes)
        if total is None:
            total = await self._counted(listing)
            self._totals.keep(counting, changes, total)
        return total

    async def _counted(self, listing: Listing) -> int:
        sql, params = listing.count()
        return int(cast("int", (await self.engine.fetch(sql, params))[0][0]))

    async def _check(self, plan: Plan, changes: int) -> None:
        """Raises InvalidQuery for a path that is only assumed to lead somewhere, and leads nowhere."""
        resource = plan.kind.resource
        for path, place in plan.assumed:
            known = ("SELECT 1 FROM property WHERE resource = ? AND path = ?", (resource, path_text(path)))
            if self._totals.known(known, changes):
                continue
            if not await self.engine.fetch(*known, limit=1):
                raise InvalidQuery(f"no {resource} has a property {path[1]!r:.200}", place, path[1])
            self._totals.keep(known, changes, 1)
