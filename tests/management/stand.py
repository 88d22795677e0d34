"""Management services over a house in memory, with a data plane that remembers what it was told."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import unquote

from connector.flow.browse import Browser
from connector.flow.plane import Plane
from connector.http.client import GuardedClient
from connector.management import assets, definitions, policies
from connector.management.model import EDC, Asset, ContractDefinition, Criterion, PolicyDefinition
from connector.management.queryspec import criteria
from connector.management.sealing import SecretBox
from connector.management.service import Management
from connector.protocol.errors import CallerError, Unavailable
from connector.settings.secret import Secret
from connector.store.definitions import DefinitionStore
from tests.flow.house import House

KEY = bytes(range(32))
URL = "https://api.example.com/trips"
OPEN: dict[str, Any] = {"@type": "Set", "permission": []}
COUNTED = "https://w3id.org/carnet/terms#requestsPerDay"


class Stand(Plane):
    """A data plane that takes everything but what is at a forbidden address."""

    def __init__(self, declares: tuple[str, ...] = ()) -> None:
        super().__init__(cast("GuardedClient", None), Secret("x" * 16), "http://127.0.0.1:1")
        self.declares = declares
        self.sources: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str]] = []
        self.releasing: list[dict[str, Any]] = []
        self.away = False

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """See Plane."""
        self.asked.append((method, path))
        if self.away:
            raise Unavailable("data-plane-away", "it is away")
        name = unquote(path.rpartition("/")[2])
        if path == "/carnet/releases":
            return {"releases": self.releasing}
        if method == "DELETE":
            self.sources.pop(name, None)
            return {}
        told = body or {}
        if "forbidden" in str(told.get("http", {}).get("baseUrl", told.get("path"))):
            raise CallerError("http-forbidden", "the source may not be called")
        self.sources[name] = told
        return {"declares": list(self.declares)}


def managed(house: House, plane: Plane) -> Management:
    """The services of a house."""
    return Management(house.context, plane, cast("Browser", None), DefinitionStore(house.context.store.engine), SecretBox(KEY))


def http(url: str = URL, **more: Any) -> dict[str, Any]:
    """A data address as clients write it, under whole IRIs."""
    return {f"{EDC}{name}": value for name, value in {"type": "HttpData", "baseUrl": url, **more}.items()}


def chosen(*criterion: tuple[str, str, Any]) -> tuple[Criterion, ...]:
    """A selector."""
    return criteria([dict(zip(("operandLeft", "operator", "operandRight"), each, strict=True)) for each in criterion], "")


async def asset(m: Management, asset_id: str, address: dict[str, Any] | None = None, **properties: Any) -> Asset:
    """A new asset at an HTTP API."""
    named = {f"{EDC}{name}": value for name, value in properties.items()}
    return await assets.create(m, Asset(asset_id, named, data_address=address or http()))


async def policy(m: Management, policy_id: str, document: dict[str, Any] | None = None) -> PolicyDefinition:
    """A new policy; it permits everything where nothing else is said."""
    return await policies.create(m, PolicyDefinition(policy_id, OPEN if document is None else document))


async def definition(
    m: Management, definition_id: str, *selector: tuple[str, str, Any], access: str = "open", contract: str = "open"
) -> ContractDefinition:
    """A new contract definition."""
    return await definitions.create(m, ContractDefinition(definition_id, access, contract, chosen(*selector)))


def when(left: str, operator: str, right: Any) -> dict[str, Any]:
    """A policy that permits use under one constraint."""
    constraint = {"leftOperand": left, "operator": operator, "rightOperand": right}
    return {"@type": "Set", "permission": [{"action": "use", "constraint": [constraint]}]}
