"""Data addresses: where an asset's data are, as its owner says it, and as our data plane is told.

Three types: ``HttpData`` (an HTTP API), ``CarnetFile`` (a file) and ``CarnetTable`` (a file or folder of which the contract
governs the rows). What opens a source (``authCode``, headers that may hold a key) is taken out of the address and kept sealed;
nobody reads it again. Members that are none of ours are kept and mean nothing. Pure. May import the model and the errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from connector.management.model import EDC
from connector.protocol.errors import CallerError
from connector.protocol.messages import Document

HTTP: Final = "HttpData"
FILE: Final = "CarnetFile"
TABLE: Final = "CarnetTable"
TYPES: Final = (HTTP, FILE, TABLE)
_TEXTS: Final = ("baseUrl", "path", "queryParams", "method", "body", "contentType")
_FLAGS: Final = ("proxyPath", "proxyQueryParams", "proxyMethod", "proxyBody")
_WISHES: Final = ("mapping", "bases", "sensitive")
_HEADER: Final = "header:"
_OPENING: Final = {name.lower(): name for name in ("authKey", "authCode", "secretName")}
_OPEN_HEADERS: Final = frozenset({"accept", "accept-charset", "accept-language", "content-type", "prefer", "user-agent"})
"""Headers that hold no key, whoever writes them; every other one is sealed."""


@dataclass(frozen=True, slots=True)
class DataAddress:
    """An address without EDC's namespace, in two parts: ``shown``, and ``sealed``, which is for the data plane alone."""

    type: str
    shown: Mapping[str, Any]
    sealed: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def where(self) -> str:
        """Where the data are, in one text."""
        return str(self.shown.get("baseUrl" if self.type == HTTP else "path", ""))

    @property
    def secret(self) -> str | None:
        """The id of the secret that opens the source, where it is named."""
        name = self.shown.get("secretName")
        return name if isinstance(name, str) and self.type == HTTP else None

    def opens_as(self, other: DataAddress) -> bool:
        """Whether what opens the other opens this: the same server, and the same header."""
        return all(self.shown.get(name) == other.shown.get(name) for name in ("type", "baseUrl", "authKey"))

    def document(self) -> dict[str, Any]:
        """The part that is kept and shown, under whole IRIs."""
        return {EDC + name if ":" not in name or name.startswith(_HEADER) else name: each for name, each in self.shown.items()}


def read(given: Mapping[str, Any]) -> DataAddress:
    """An address as its owner says it. Raises CallerError."""
    plain = _plain({name: value for name, value in given.items() if not name.startswith("@") or name == "@type"})
    kind = plain.get("type", plain.pop("@type", None))
    plain.pop("@type", None)
    kind = kind.removeprefix(EDC) if isinstance(kind, str) else ""
    if kind not in TYPES:
        raise CallerError("address-type", f"the type of a data address is {', '.join(TYPES[:-1])} or {TYPES[-1]}")
    _spelled(plain, kind)
    sealed = {name: _text(plain, name) for name in plain if is_sealed(name)}
    shown = {"type": kind, **{name: value for name, value in plain.items() if name not in sealed and name != "type"}}
    address = DataAddress(kind, shown, sealed)
    registration(address, "")
    return address


def _spelled(plain: Mapping[str, Any], kind: str) -> None:
    """Nothing that opens a source is kept in the open because of how it is written. Raises CallerError."""
    for name in plain:
        lower = name.lower()
        if lower.startswith("oauth2:"):
            raise CallerError("address-oauth2", "a source is opened with authKey and authCode or secretName; leave oauth2:* out")
        if not lower.startswith(_HEADER) and lower not in _OPENING:
            continue
        if kind != HTTP:
            raise CallerError("address-invalid", f"{name:.80} of the data address means something for {HTTP} alone; leave it out")
        if not name.startswith(_HEADER) and name != _OPENING.get(lower):
            raise CallerError("address-invalid", f"{name:.80} of the data address is written {_OPENING.get(lower, 'header:...')}")


def registration(address: DataAddress, secret: str | None) -> Document:
    """What the data plane is told. ``secret``: the value of the secret that the address names. Raises CallerError."""
    shown = address.shown
    if address.type == FILE:
        return {"path": _needed(shown, "path")}
    if address.type == TABLE:
        return {"path": _needed(shown, "path"), "table": _wish(shown)}
    _needed(shown, "baseUrl")
    told: Document = {name: _text(shown, name) for name in _TEXTS if name in shown}
    told |= {name: _flag(shown, name) for name in _FLAGS if name in shown}
    both = {**shown, **address.sealed}
    headers = {name.removeprefix(_HEADER): _text(both, name) for name in both if name.startswith(_HEADER)}
    if headers:
        told["headers"] = headers
    value = address.sealed.get("authCode", secret)
    if value is not None and (address.secret is not None or "authCode" in address.sealed):
        told["credential"] = {"header": _text(shown, "authKey") if "authKey" in shown else "Authorization", "value": value}
    return {"http": told}


def _wish(shown: Mapping[str, Any]) -> Document:
    wish: Document = {}
    for name in _WISHES:
        if name in shown:
            wish[name] = _structure(shown, name)
    if "personal" in shown:
        wish["personal"] = _flag(shown, "personal")
    return wish


def _structure(shown: Mapping[str, Any], name: str) -> Any:
    """A member that is more than a text; a client that knows texts only writes it as JSON."""
    value = shown[name]
    if name == "bases" and isinstance(value, str) and not value.startswith("["):
        return [value]
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except ValueError:
        raise CallerError("address-invalid", f"{name} of the data address is no JSON") from None


def _plain(value: Any) -> Any:
    """Names of EDC's namespace without it, all the way down."""
    if isinstance(value, Mapping):
        return {str(name).removeprefix(EDC): _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def is_sealed(name: str) -> bool:
    """Whether a member of an HTTP API's address (without namespace) may open it, and so is kept from everybody."""
    return name == "authCode" or (name.startswith(_HEADER) and name.removeprefix(_HEADER).lower() not in _OPEN_HEADERS)


def _needed(shown: Mapping[str, Any], name: str) -> str:
    if not shown.get(name):
        raise CallerError("address-invalid", f"{name} of the data address is missing")
    return _text(shown, name)


def _text(shown: Mapping[str, Any], name: str) -> str:
    value = shown[name]
    if not isinstance(value, str):
        raise CallerError("address-invalid", f"{name} of the data address is a text")
    return value


def _flag(shown: Mapping[str, Any], name: str) -> bool:
    value = shown[name]
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise CallerError("address-invalid", f"{name} of the data address is true or false")
