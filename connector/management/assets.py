"""Assets of the owner: created, changed, looked up, listed, deleted.

An asset's id is the id of its dataset. May import flow, store and the data plane's seam.
"""

from __future__ import annotations

from connector.management.model import Asset, QuerySpec
from connector.management.service import Management


async def create(m: Management, asset: Asset) -> Asset:
    """Keep a new asset, register its data with the data plane, and offer it where contract definitions select it.

    Without an id it gets one. Raises Conflict `asset-exists`, CallerError for a data address that cannot be used,
    PublicationRefused where terms of a contract definition that selects it cannot be kept with these data, Unavailable without
    data plane. Nothing is kept then.
    """
    raise NotImplementedError


async def update(m: Management, asset: Asset, version: int | None = None) -> Asset:
    """Replace an asset; without a data address the known one stays. ``version``: only if that is the stored one.

    Raises NotFound, Conflict `version-other`, and what ``create`` raises.
    """
    raise NotImplementedError


async def find(m: Management, asset_id: str) -> Asset:
    """An asset by id. Raises NotFound."""
    raise NotImplementedError


async def query(m: Management, spec: QuerySpec) -> list[Asset]:
    """A page of assets. Raises CallerError for a field that no asset can have."""
    raise NotImplementedError


async def count(m: Management, spec: QuerySpec) -> int:
    """How many assets meet the criteria, whatever the page. Raises as ``query``."""
    raise NotImplementedError


async def delete(m: Management, asset_id: str) -> None:
    """Take an asset off the catalogue and forget it and its data. Raises NotFound, Conflict `asset-agreed` where an agreement is
    about it."""
    raise NotImplementedError
