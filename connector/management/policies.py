"""Policy definitions: created, changed, looked up, listed, deleted, examined. May import flow, store and policies."""

from __future__ import annotations

from dataclasses import replace

from connector.flow.offers import Finding, PublicationRefused
from connector.management import terms
from connector.management.assets import check_id, outdated
from connector.management.model import PolicyDefinition, QuerySpec
from connector.management.planning import EvaluationPlan, plan
from connector.management.projecting import check, settle
from connector.management.rules import RACES_MOST, busy
from connector.management.service import Management
from connector.protocol.errors import Conflict, NotFound
from connector.store.definitions import begin_again, delete_policy, insert_policy, update_policy
from connector.store.engine import LostRace
from connector.store.projection import changed
from policies.delivery import Capabilities


async def create(m: Management, definition: PolicyDefinition) -> PolicyDefinition:
    """Keep a new policy. Without an id it gets one. Raises Conflict `policy-exists`, PublicationRefused or CallerError for what
    cannot be read as a policy that may be offered; whether its terms can be kept is asked where it is used."""
    terms.read(definition.policy)
    definition = replace(definition, id=definition.id or m.context.new_id(), created_at=m.context.now_ms(), version=1)
    check_id(definition.id)
    for _ in range(RACES_MOST):
        rules = await m.rules()
        if await m.store.policy(definition.id) is not None:
            raise Conflict("policy-exists", f"there is a policy {definition.id:.80} already")
        try:
            await m.context.commit([changed(rules.version), *insert_policy(definition)])
        except LostRace:
            continue
        m.known.committed(rules.with_policy(definition))
        return definition
    raise busy()


async def update(m: Management, definition: PolicyDefinition, version: int | None = None) -> PolicyDefinition:
    """Replace a policy, and every offer that is made of it, before it returns. ``version``: only if that is the stored one.

    Raises NotFound, Outdated, CallerError, and PublicationRefused where an asset cannot be offered on the new terms: nothing is
    changed then.
    """
    terms.read(definition.policy)
    for _ in range(RACES_MOST):
        rules = await m.rules()
        stored = await find(m, definition.id)
        if version is not None and version != stored.version:
            raise outdated("policy")
        new = replace(definition, created_at=stored.created_at, version=stored.version)
        proposed = rules.with_policy(replace(new, version=stored.version + 1))
        using = [each for each in rules.definitions.values() if definition.id in (each.access_policy, each.contract_policy)]
        for each in using:
            await check(m, proposed, each)
        writes = [*update_policy(new, m.context.now_ms()), begin_again(definition.id)]
        try:
            await m.context.commit([changed(rules.version), *writes])
        except LostRace:
            continue
        m.known.committed(proposed)
        for each in using:
            await settle(m, each.id)
        return replace(new, version=stored.version + 1)
    raise busy()


async def find(m: Management, policy_id: str) -> PolicyDefinition:
    """A policy by id. Raises NotFound."""
    found = await m.store.policy(policy_id)
    if found is None:
        raise NotFound("policy-unknown", f"there is no policy {policy_id:.80}")
    return found


async def query(m: Management, spec: QuerySpec) -> list[PolicyDefinition]:
    """A page of policies. Raises CallerError for an unknown field."""
    return await m.store.policies(spec)


async def count(m: Management, spec: QuerySpec) -> int:
    """How many policies meet the criteria, whatever the page. Raises as ``query``."""
    return await m.store.count_policies(spec)


async def delete(m: Management, policy_id: str, version: int | None = None) -> None:
    """Forget a policy. ``version``: only if that is the stored one. Raises NotFound, Outdated, Conflict `policy-used` where a
    contract definition uses it."""
    for _ in range(RACES_MOST):
        rules = await m.rules()
        stored = await find(m, policy_id)
        if version is not None and version != stored.version:
            raise outdated("policy")
        using = await m.store.definitions_using(policy_id, limit=1)
        if using:
            raise Conflict("policy-used", f"the contract definition {using[0]:.80} uses the policy; change that first")
        try:
            await m.context.commit([changed(rules.version), *delete_policy(policy_id)])
        except LostRace:
            continue
        m.known.committed(rules.without_policy(policy_id))
        return
    raise busy()


async def validate(m: Management, policy_id: str) -> tuple[Finding, ...]:
    """All that keeps a policy from being offered here; empty: it is valid. Raises NotFound."""
    document = (await find(m, policy_id)).policy
    try:
        policy = terms.read(document)
    except PublicationRefused as refused:
        return refused.findings
    return terms.findings(policy, m.context.participant_id, Capabilities(m.context.declared))


async def evaluation_plan(m: Management, policy_id: str, policy_scope: str) -> EvaluationPlan:
    """Which of a policy's terms are evaluated in a scope (``catalog``, ``contract.negotiation``, ``transfer.process``,
    ``policy.monitor``), and which are not and why. Raises NotFound, Invalid for another scope."""
    return plan(terms.read((await find(m, policy_id)).policy), policy_scope)
