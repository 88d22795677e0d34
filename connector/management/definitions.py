"""Contract definitions: which assets are offered to whom on what terms.

What a definition says is in the catalogue when the call returns; the walk over the assets is in ``projecting``. May import flow
and store.
"""

from __future__ import annotations

from dataclasses import replace

from connector.management.approving import approval_of
from connector.management.assets import check_id, outdated
from connector.management.model import ContractDefinition, QuerySpec
from connector.management.offering import open_to
from connector.management.projecting import check, settle
from connector.management.rules import RACES_MOST, busy
from connector.management.service import Management
from connector.protocol.errors import Conflict, Invalid, NotFound, Violation
from connector.store.definitions import delete_definition, insert_definition, update_definition
from connector.store.engine import LostRace
from connector.store.projection import changed


async def create(m: Management, definition: ContractDefinition) -> ContractDefinition:
    """Keep a new contract definition and offer every asset that it selects, before it returns. Without an id it gets one.

    Raises Conflict `definition-exists`, Invalid `policy-unknown` for a policy that is not there and for a selector that no asset
    can meet, PublicationRefused where an asset cannot be offered on the terms: nothing is kept then.
    """
    definition = replace(definition, id=definition.id or m.context.new_id(), created_at=m.context.now_ms(), version=1)
    check_id(definition.id)
    for _ in range(RACES_MOST):
        if await m.store.definition(definition.id) is not None:
            raise Conflict("definition-exists", f"there is a contract definition {definition.id:.80} already")
        rules = await m.rules()
        proposed = rules.with_definition(definition)
        await _check_members(m, definition)
        await check(m, proposed, definition)
        try:
            await m.context.commit([changed(rules.version), *insert_definition(definition)])
        except LostRace:
            continue
        m.known.committed(proposed)
        await settle(m, definition.id)
        return definition
    raise busy()


async def update(m: Management, definition: ContractDefinition, version: int | None = None) -> ContractDefinition:
    """Replace a contract definition, and the offers that are made of it, before it returns. ``version``: only if that is the
    stored one. Raises NotFound, Outdated, and what ``create`` raises."""
    for _ in range(RACES_MOST):
        rules = await m.rules()
        stored = await find(m, definition.id)
        if version is not None and version != stored.version:
            raise outdated("contract definition")
        new = replace(definition, created_at=stored.created_at, version=stored.version)
        after = replace(new, version=stored.version + 1)
        proposed = rules.with_definition(after)
        await _check_members(m, new)
        await check(m, proposed, after)
        try:
            await m.context.commit([changed(rules.version), *update_definition(new, m.context.now_ms())])
        except LostRace:
            continue
        m.known.committed(proposed)
        await settle(m, definition.id)
        return after
    raise busy()


async def find(m: Management, definition_id: str) -> ContractDefinition:
    """A contract definition by id. Raises NotFound."""
    found = await m.store.definition(definition_id)
    if found is None:
        raise NotFound("definition-unknown", f"there is no contract definition {definition_id:.80}")
    return found


async def query(m: Management, spec: QuerySpec) -> list[ContractDefinition]:
    """A page of contract definitions. Raises CallerError for an unknown field."""
    return await m.store.definitions(spec)


async def count(m: Management, spec: QuerySpec) -> int:
    """How many contract definitions meet the criteria, whatever the page. Raises as ``query``."""
    return await m.store.count_definitions(spec)


async def delete(m: Management, definition_id: str, version: int | None = None) -> None:
    """Forget a contract definition; what it offered is off the catalogue when this returns. ``version``: only if that is the
    stored one. Raises NotFound, Outdated."""
    for _ in range(RACES_MOST):
        rules = await m.rules()
        stored = await find(m, definition_id)
        if version is not None and version != stored.version:
            raise outdated("contract definition")
        try:
            await m.context.commit([changed(rules.version), *delete_definition(definition_id)])
        except LostRace:
            continue
        m.known.committed(rules.without_definition(definition_id))
        await settle(m, definition_id)
        return
    raise busy()


async def _check_members(m: Management, definition: ContractDefinition) -> None:
    open_to(definition)
    approval_of(definition)
    wanted = {"accessPolicyId": definition.access_policy, "contractPolicyId": definition.contract_policy}
    missing = [
        Violation(f"there is no policy {policy_id:.80}; make it first", path, policy_id)
        for path, policy_id in wanted.items()
        if await m.store.policy(policy_id) is None
    ]
    if missing:
        raise Invalid("policy-unknown", missing)
