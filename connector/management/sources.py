"""An asset's data at the data plane: registered with what opens them, and forgotten. May import store and flow's plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from connector.management import addresses
from connector.management.addresses import DataAddress
from connector.management.model import Asset
from connector.protocol.errors import CallerError, CarnetError, PolicyDenied
from connector.store.definitions import delete_secret, insert_secret, update_secret
from connector.store.engine import Statement
from connector.telemetry import logger
from policies.delivery import Capabilities

if TYPE_CHECKING:
    from connector.management.service import Management

RESERVED: Final = "carnet:asset:"
log = logger("management")


class Source(msgspec.Struct, frozen=True):
    """What the data plane has found out: the type of the data, where they are, and what can be done with them."""

    type: str
    where: str
    able: Capabilities


_decode = msgspec.json.Decoder(Source).decode


def found(text: str) -> Source | None:
    """What was kept of an asset's data; None: it has none."""
    return _decode(text) if text else None


def credential_id(asset_id: str) -> str:
    """The id under which is sealed what the owner wrote into the data address itself."""
    return f"{RESERVED}{asset_id}"


async def register(m: Management, asset_id: str, address: DataAddress | None) -> str:
    """Make an asset's data deliverable; gives what is to be kept of that (empty without data).

    Raises CallerError `secret-unknown` and for what cannot be published, Unavailable without data plane.
    """
    if address is None:
        return ""
    body = addresses.registration(address, await _value(m, address))
    answer = await m.plane.ask("PUT", _path(asset_id), body)
    return msgspec.json.encode(Source(address.type, address.where, m.plane.able(answer))).decode()


async def forget(m: Management, asset_id: str) -> None:
    """An asset's data are not to be delivered any more. Never fails: what cannot be forgotten now is named in the log."""
    try:
        await m.plane.ask("DELETE", _path(asset_id))
    except CarnetError as error:
        log.warning("the data plane still has the data of an asset that is gone", asset=asset_id, code=error.code)


async def sealed(m: Management, asset_id: str) -> dict[str, str]:
    """What the owner wrote into an asset's data address and nobody is shown. Raises Unavailable where it cannot be opened."""
    kept = await m.store.sealed(credential_id(asset_id))
    if kept is None:
        return {}
    opened: dict[str, str] = msgspec.json.decode(m.secrets.unseal(credential_id(asset_id), kept), type=dict[str, str])
    return opened


async def keep_sealed(m: Management, asset_id: str, address: DataAddress | None) -> list[Statement]:
    """The writes that keep it."""
    name = credential_id(asset_id)
    known = await m.store.secret(name)
    if address is None or not address.sealed:
        return [delete_secret(name)] if known else []
    value = m.secrets.seal(name, msgspec.json.encode(dict(address.sealed)).decode())
    write = update_secret if known else insert_secret
    return [write(name, value, m.context.now_ms())]


def check_secret(address: DataAddress | None, known: DataAddress | None, *, trusted: bool) -> None:
    """Who names a secret in an address sends it to that server: only who may write secrets begins to. Raises PolicyDenied."""
    if trusted or address is None or address.secret is None:
        return
    if known is None or known.secret != address.secret or not address.opens_as(known):
        raise PolicyDenied("secret-scope", "who names a secret sends it to the server of the address: that needs secrets:write")


def secret_of(asset: Asset) -> str | None:
    """The id of the secret that opens an asset's data, if it names one."""
    return None if asset.data_address is None else addresses.read(asset.data_address).secret


async def _value(m: Management, address: DataAddress) -> str | None:
    if address.secret is None or "authCode" in address.sealed:
        return None
    kept = await m.store.sealed(address.secret)
    if kept is None or address.secret.startswith(RESERVED):
        raise CallerError("secret-unknown", f"there is no secret {address.secret:.80}; write it first")
    return m.secrets.unseal(address.secret, kept)


def _path(asset_id: str) -> str:
    return f"/carnet/sources/{quote(asset_id, safe='')}"
