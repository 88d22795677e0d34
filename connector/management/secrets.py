"""Secrets that data sources need: written, replaced, deleted, and never read back. May import store and this package."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from connector.management import assets, sources
from connector.management.assets import check_id
from connector.management.model import SecretEntry
from connector.management.service import Management
from connector.protocol.errors import CallerError, CarnetError, Conflict, NotFound
from connector.store.definitions import delete_secret, insert_secret, update_secret
from connector.store.engine import LostRace
from connector.telemetry import logger

VALUE_MOST_CHARS: Final = 8_192
PAGE: Final = 100
log = logger("management")


async def create(m: Management, secret_id: str, value: str) -> SecretEntry:
    """Seal and keep a secret; with an empty id it gets one. Raises Conflict `secret-exists`, CallerError."""
    secret_id, now = secret_id or m.context.new_id(), m.context.now_ms()
    _check(secret_id, value)
    try:
        await m.context.commit([insert_secret(secret_id, m.secrets.seal(secret_id, value), now)])
    except LostRace:
        raise Conflict("secret-exists", f"there is a secret {secret_id:.80} already") from None
    return SecretEntry(secret_id, now, now)


async def update(m: Management, secret_id: str, value: str) -> SecretEntry:
    """Replace a secret's value, and hand it to the data plane for each asset that names it; if that fails, it is as before.

    Raises NotFound, CallerError for a value that opens nothing, Unavailable without data plane.
    """
    async with m.lock(f"\0{secret_id}"):
        known, now = await find(m, secret_id), m.context.now_ms()
        _check(secret_id, value)
        before = await m.store.sealed(secret_id)
        try:
            await m.context.commit([update_secret(secret_id, m.secrets.seal(secret_id, value), now)])
        except LostRace:
            raise _unknown(secret_id) from None
        using = await _using(m, secret_id)
        try:
            for each in using:
                await assets.renew(m, each)
        except CarnetError:
            await _put_back(m, known, before, using)
            raise
        return SecretEntry(secret_id, known.created_at, now)


async def find(m: Management, secret_id: str) -> SecretEntry:
    """That a secret is there, and since when; never its value. Raises NotFound."""
    found = None if secret_id.startswith(sources.RESERVED) else await m.store.secret(secret_id)
    if found is None:
        raise _unknown(secret_id)
    return found


async def delete(m: Management, secret_id: str) -> None:
    """Forget a secret. Raises NotFound, Conflict `secret-used` where an asset names it."""
    await find(m, secret_id)
    using = await _using(m, secret_id)
    if using:
        raise Conflict("secret-used", f"the asset {using[0]:.80} is opened with the secret; change that first")
    try:
        await m.context.commit([delete_secret(secret_id)])
    except LostRace:
        raise _unknown(secret_id) from None


async def _put_back(m: Management, known: SecretEntry, sealed: bytes | None, using: list[str]) -> None:
    """The value as it was before one that could not be used."""
    if sealed is None:
        return
    with suppress(LostRace):
        await m.context.commit([update_secret(known.id, sealed, known.updated_at)])
    for each in using:
        try:
            await assets.renew(m, each)
        except CarnetError as error:
            log.warning("an asset is not opened with its secret any more; write the secret again", asset=each, code=error.code)


async def _using(m: Management, secret_id: str) -> list[str]:
    """The assets whose data are opened with a secret."""
    found: list[str] = []
    last = ""
    while page := await m.projection.naming(secret_id, last, PAGE):
        for each in page:
            asset = await m.store.asset(each)
            if asset is not None and sources.secret_of(asset) == secret_id:
                found.append(each)
        last = page[-1]
    return found


def _check(secret_id: str, value: str) -> None:
    check_id(secret_id)
    if secret_id.startswith(sources.RESERVED):
        raise CallerError("secret-reserved", f"ids that begin with {sources.RESERVED} are the connector's own")
    if not 0 < len(value) <= VALUE_MOST_CHARS:
        raise CallerError("secret-value", f"the value of a secret is a text of 1 to {VALUE_MOST_CHARS} characters")


def _unknown(secret_id: str) -> NotFound:
    return NotFound("secret-unknown", f"there is no secret {secret_id:.80}")
