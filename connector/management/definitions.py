"""Contract definitions: which assets are offered to whom on what terms. May import flow and store."""

from __future__ import annotations

from connector.management.model import ContractDefinition, QuerySpec
from connector.management.service import Management


async def create(m: Management, definition: ContractDefinition) -> ContractDefinition:
    """Keep a new contract definition and offer every asset that it selects, before it returns. Without an id it gets one.

    Raises Conflict `definition-exists`, CallerError `policy-unknown` for a policy that is not there, PublicationRefused where an
    asset cannot be offered on the terms: nothing is kept then.
    """
    raise NotImplementedError


async def update(m: Management, definition: ContractDefinition, version: int | None = None) -> ContractDefinition:
    """Replace a contract definition, and the offers that are made of it, before it returns. ``version``: only if that is the
    stored one. Raises NotFound, Conflict `version-other`, and what ``create`` raises."""
    raise NotImplementedError


async def find(m: Management, definition_id: str) -> ContractDefinition:
    """A contract definition by id. Raises NotFound."""
    raise NotImplementedError


async def query(m: Management, spec: QuerySpec) -> list[ContractDefinition]:
    """A page of contract definitions. Raises CallerError for an unknown field."""
    raise NotImplementedError


async def count(m: Management, spec: QuerySpec) -> int:
    """How many contract definitions meet the criteria, whatever the page. Raises as ``query``."""
    raise NotImplementedError


async def delete(m: Management, definition_id: str) -> None:
    """Forget a contract definition; what it offered is off the catalogue when this returns. Raises NotFound."""
    raise NotImplementedError
