"""Assets of the owner: created, changed, looked up, listed, deleted.

An asset's id is the id of its dataset. Its data are registered with the data plane before anything is kept, so that what cannot
be delivered is refused at once; what comes in between is put back. May import flow, store and this package.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from connector.management import addresses, sources
from connector.management.addresses import DataAddress
from connector.management.model import Asset, QuerySpec
from connector.management.offering import ALL, check_properties, offer, taken_off
from connector.management.rules import RACES_MOST, busy
from connector.management.service import Management
from connector.protocol.errors import CallerError, CarnetError, Conflict, NotFound, Outdated, Unavailable
from connector.store.definitions import delete_asset, delete_secret, insert_asset, update_asset
from connector.store.engine import LostRace, Statement
from connector.store.projection import keep_source, unchanged
from connector.telemetry import logger

ID_MOST_CHARS: Final = 512
log = logger("management")


async def create(m: Management, asset: Asset, *, trusted: bool = True) -> Asset:
    """Keep a new asset, register its data with the data plane, and offer it where contract definitions select it.

    Without an id it gets one. ``trusted``: whether its author may send a secret to the server of a data address. Raises
    PolicyDenied if he does so and may not, Conflict `asset-exists`, CallerError for a data address that cannot be used,
    PublicationRefused where terms of a contract definition that selects it cannot be kept with these data, Unavailable without
    data plane. Nothing is kept then.
    """
    address = None if asset.data_address is None else addresses.read(asset.data_address)
    asset = replace(
        asset,
        id=asset.id or m.context.new_id(),
        data_address=None if address is None else address.document(),
        created_at=m.context.now_ms(),
        version=1,
    )
    check_id(asset.id)
    check_properties(asset.properties)
    sources.check_secret(address, None, trusted=trusted)
    async with m.lock(asset.id):
        await _check_free(m, asset.id)
        source = await sources.register(m, asset.id, address)
        try:
            await _commit(m, asset, source, address, lambda: insert_asset(asset), lambda: _check_free(m, asset.id))
        except BaseException:
            if source:
                await sources.forget(m, asset.id)
            raise
    return asset


async def update(m: Management, asset: Asset, version: int | None = None, *, trusted: bool = True) -> Asset:
    """Replace an asset; without a data address the known one stays, and what opens its source where that is the same.

    ``version``: only if that is the stored one; ``trusted`` as in ``create``. Raises NotFound, Outdated, and what
    ``create`` raises.
    """
    check_properties(asset.properties)
    async with m.lock(asset.id):
        stored = await find(m, asset.id)
        if version is not None and version != stored.version:
            raise outdated("asset")
        given = None if asset.data_address is None else addresses.read(asset.data_address)
        known = await _known_address(m, stored, given)
        address = _addressed(given, known)
        sources.check_secret(address, known, trusted=trusted)
        changed = replace(
            asset,
            data_address=None if address is None else address.document(),
            created_at=stored.created_at,
            version=stored.version,
        )
        source = await sources.register(m, asset.id, address)
        try:
            await _commit(
                m, changed, source, address, lambda: update_asset(changed, m.context.now_ms()), lambda: _check_same(m, stored)
            )
        except BaseException:
            await _put_back(m, asset.id, known)
            raise
    return replace(changed, version=stored.version + 1)


async def find(m: Management, asset_id: str) -> Asset:
    """An asset by id. Raises NotFound."""
    found = await m.store.asset(asset_id)
    if found is None:
        raise NotFound("asset-unknown", f"there is no asset {asset_id:.80}")
    return found


async def query(m: Management, spec: QuerySpec) -> list[Asset]:
    """A page of assets. Raises CallerError for a field that no asset can have."""
    return await m.store.assets(spec)


async def count(m: Management, spec: QuerySpec) -> int:
    """How many assets meet the criteria, whatever the page. Raises as ``query``."""
    return await m.store.count_assets(spec)


async def delete(m: Management, asset_id: str, version: int | None = None) -> None:
    """Take an asset off the catalogue and forget it and its data. ``version``: only if that is the stored one. Raises NotFound,
    Outdated, Conflict `asset-agreed` where an agreement is about it."""
    async with m.lock(asset_id):
        stored = await find(m, asset_id)
        if version is not None and version != stored.version:
            raise outdated("asset")
        made = await taken_off(m, asset_id)
        name = sources.credential_id(asset_id)
        sealed = [delete_secret(name)] if await m.store.secret(name) else []
        try:
            await m.context.commit([*delete_asset(asset_id), *made.statements, *sealed], made.told)
        except LostRace:
            await find(m, asset_id)
            said = f"an agreement is about the asset {asset_id:.80}; it stays for as long as that is kept"
            raise Conflict("asset-agreed", said) from None
        await sources.forget(m, asset_id)


async def renew(m: Management, asset_id: str) -> None:
    """Register an asset's data again, because what opens them has changed. Raises as ``create`` does."""
    async with m.lock(asset_id):
        stored = await m.store.asset(asset_id)
        if stored is not None:
            await sources.register(m, asset_id, await _known_address(m, stored))


def check_id(given: str) -> None:
    """Raises CallerError for an id that cannot stand in a path, or that others read as another one or cannot read."""
    if len(given) > ID_MOST_CHARS or not given.isprintable() or given != given.strip():
        said = f"an id has at most {ID_MOST_CHARS} characters, all of them printable, and no blank at either end"
        raise CallerError("id-invalid", said)
    if given in (".", "..") or given.startswith("_:"):
        raise CallerError(
            "id-invalid", "an id is none of '.' and '..', and does not begin with '_:', which is a name for one document"
        )


def outdated(what: str) -> Outdated:
    """It was changed meanwhile."""
    return Outdated("outdated", f"the {what} was changed meanwhile; read it again and decide anew")


async def _commit(
    m: Management,
    asset: Asset,
    source: str,
    address: DataAddress | None,
    writes: Callable[[], list[Statement]],
    check: Callable[[], Awaitable[None]],
) -> None:
    """Keep an asset with everything that is offered of it. ``check`` raises where it cannot be kept at all."""
    for _ in range(RACES_MOST):
        rules = await m.rules()
        made = await offer(m, rules, asset, sources.found(source), ALL)
        kept = [*writes(), keep_source(asset.id, source), *await sources.keep_sealed(m, asset.id, address)]
        try:
            await m.context.commit([unchanged(rules.version), *kept, *made.statements], made.told)
        except LostRace:
            await check()
        else:
            return
    raise busy()


async def _check_free(m: Management, asset_id: str) -> None:
    if await m.store.asset(asset_id) is not None:
        raise Conflict("asset-exists", f"there is an asset {asset_id:.80} already")
    if await m.projection.published_directly(asset_id):
        raise Conflict("asset-exists", f"a dataset {asset_id:.80} is published by itself; withdraw it, or choose another id")


async def _check_same(m: Management, stored: Asset) -> None:
    now = await find(m, stored.id)
    if (now.version, now.created_at) != (stored.version, stored.created_at):
        raise outdated("asset")


async def _known_address(m: Management, stored: Asset, given: DataAddress | None = None) -> DataAddress | None:
    """As it was kept, with what was sealed of it. ``given``: another one, which may need nothing of that; then what cannot be
    opened any more is in nobody's way. Raises Unavailable."""
    if stored.data_address is None:
        return None
    known = addresses.read(stored.data_address)
    try:
        return replace(known, sealed=await sources.sealed(m, stored.id))
    except Unavailable:
        if given is None or _opens_alike(given, known):
            raise
        return known


def _addressed(given: DataAddress | None, known: DataAddress | None) -> DataAddress | None:
    """The address of a changed asset. What is sealed comes with it again only for the source that it was written for."""
    if given is None:
        return known
    return replace(given, sealed=known.sealed) if known is not None and _opens_alike(given, known) else given


def _opens_alike(given: DataAddress, known: DataAddress) -> bool:
    """Whether an address without a key of its own is opened with what was sealed of the known one."""
    return not given.sealed and given.secret is None and given.opens_as(known)


async def _put_back(m: Management, asset_id: str, known: DataAddress | None) -> None:
    """The data as they were registered before a change that was not made."""
    if known is None:
        await sources.forget(m, asset_id)
        return
    try:
        await sources.register(m, asset_id, known)
    except CarnetError as error:
        log.warning("the data of an asset are not registered any more; change it again", asset=asset_id, code=error.code)
