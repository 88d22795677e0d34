"""Policy definitions: created, changed, looked up, listed, deleted, examined. May import flow, store and policies."""

from __future__ import annotations

from connector.flow.offers import Finding
from connector.management.model import PolicyDefinition, QuerySpec
from connector.management.planning import EvaluationPlan
from connector.management.service import Management


async def create(m: Management, definition: PolicyDefinition) -> PolicyDefinition:
    """Keep a new policy. Without an id it gets one. Raises Conflict `policy-exists`, CallerError for what cannot be read as
    ODRL; whether its terms can be kept is asked where it is used."""
    raise NotImplementedError


async def update(m: Management, definition: PolicyDefinition, version: int | None = None) -> PolicyDefinition:
    """Replace a policy, and every offer that is made of it, before it returns. ``version``: only if that is the stored one.

    Raises NotFound, Conflict `version-other`, CallerError, and PublicationRefused where an asset cannot be offered on the new
    terms: nothing is changed then.
    """
    raise NotImplementedError


async def find(m: Management, policy_id: str) -> PolicyDefinition:
    """A policy by id. Raises NotFound."""
    raise NotImplementedError


async def query(m: Management, spec: QuerySpec) -> list[PolicyDefinition]:
    """A page of policies. Raises CallerError for an unknown field."""
    raise NotImplementedError


async def count(m: Management, spec: QuerySpec) -> int:
    """How many policies meet the criteria, whatever the page. Raises as ``query``."""
    raise NotImplementedError


async def delete(m: Management, policy_id: str) -> None:
    """Forget a policy. Raises NotFound, Conflict `policy-used` where a contract definition uses it."""
    raise NotImplementedError


async def validate(m: Management, policy_id: str) -> tuple[Finding, ...]:
    """All that keeps a policy from being offered here; empty: it is valid. Raises NotFound."""
    raise NotImplementedError


async def evaluation_plan(m: Management, policy_id: str, policy_scope: str) -> EvaluationPlan:
    """Which of a policy's terms are evaluated in a scope (``catalog``, ``contract.negotiation``, ``transfer.process``,
    ``policy.monitor``), and which are not and why. Raises NotFound, CallerError for another scope."""
    raise NotImplementedError
