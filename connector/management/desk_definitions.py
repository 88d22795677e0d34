"""Operations of the management interface on what the owner keeps: assets, policies, contract definitions, secrets, data planes.

The same for every version (``dialect.py``); what they do is in the services. Knows aiohttp's request and response.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from connector.access.caller import scope
from connector.api.etags import expected_version, tagged
from connector.api.operation import Operation, caller_of
from connector.management import assets, checks, definitions, policies, secrets, shapes
from connector.management.checks import DataPlane
from connector.management.dialect import PAGING, Dialect, done, one, page, raw_json
from connector.management.documents import invalid, needed
from connector.management.plans_shown import plan_shown, validation_shown
from connector.management.service import Management
from connector.protocol.errors import NotFound
from connector.protocol.messages import Document


@dataclass(frozen=True, slots=True)
class DefinitionDesk:
    """The handlers of one version, below ``base`` (such as ``/management/v3``)."""

    m: Management
    dialect: Dialect
    base: str

    def operations(self) -> list[Operation]:
        """All of them."""
        return [*self._assets(), *self._policies(), *self._definitions(), *self._secrets(), *self._planes_operations()]

    def _assets(self) -> list[Operation]:
        at, name = f"{self.base}/assets", f"{self.dialect.name}-assets"
        return [
            Operation(
                "POST", at, f"{name}-create", "assets", "write", "Keep an asset.", self._create_asset, errors=(409,), told=True
            ),
            Operation(
                "PUT",
                at,
                f"{name}-update",
                "assets",
                "write",
                "Replace an asset.",
                self._update_asset,
                status=204,
                errors=(404, 409, 412),
                told=True,
            ),
            Operation(
                "POST", f"{at}/request", f"{name}-query", "assets", "read", "List assets.", self._query_assets, query=PAGING
            ),
            Operation("GET", f"{at}/{{id}}", f"{name}-get", "assets", "read", "An asset.", self._get_asset, errors=(404,)),
            Operation(
                "DELETE",
                f"{at}/{{id}}",
                f"{name}-delete",
                "assets",
                "write",
                "Forget an asset.",
                self._delete_asset,
                status=204,
                errors=(404, 409, 412),
                told=True,
            ),
        ]

    def _policies(self) -> list[Operation]:
        at, name = f"{self.base}/policydefinitions", f"{self.dialect.name}-policies"
        each = f"{at}/{{id}}"
        return [
            Operation(
                "POST", at, f"{name}-create", "policies", "write", "Keep a policy.", self._create_policy, errors=(409,), told=True
            ),
            Operation(
                "PUT",
                each,
                f"{name}-update",
                "policies",
                "write",
                "Replace a policy.",
                self._update_policy,
                status=204,
                errors=(404, 409, 412),
                told=True,
            ),
            Operation("POST", f"{at}/request", f"{name}-query", "policies", "read", "List.", self._query_policies, query=PAGING),
            Operation("GET", each, f"{name}-get", "policies", "read", "A policy.", self._get_policy, errors=(404,)),
            Operation(
                "DELETE",
                each,
                f"{name}-delete",
                "policies",
                "write",
                "Forget a policy.",
                self._delete_policy,
                status=204,
                errors=(404, 409, 412),
                told=True,
            ),
            Operation(
                "POST",
                f"{each}/validate",
                f"{name}-validate",
                "policies",
                "read",
                "What keeps a policy from being offered.",
                self._validate,
                errors=(404,),
            ),
            Operation(
                "POST",
                f"{each}/evaluationplan",
                f"{name}-plan",
                "policies",
                "read",
                "What is evaluated where, and what is not.",
                self._plan,
                errors=(404,),
            ),
        ]

    def _definitions(self) -> list[Operation]:
        at, name = f"{self.base}/contractdefinitions", f"{self.dialect.name}-definitions"
        return [
            Operation(
                "POST",
                at,
                f"{name}-create",
                "definitions",
                "write",
                "Offer assets.",
                self._create_definition,
                errors=(409,),
                told=True,
            ),
            Operation(
                "PUT",
                at,
                f"{name}-update",
                "definitions",
                "write",
                "Offer otherwise.",
                self._update_definition,
                status=204,
                errors=(404, 409, 412),
                told=True,
            ),
            Operation(
                "POST", f"{at}/request", f"{name}-query", "definitions", "read", "List.", self._query_definitions, query=PAGING
            ),
            Operation(
                "GET",
                f"{at}/{{id}}",
                f"{name}-get",
                "definitions",
                "read",
                "A contract definition.",
                self._get_definition,
                errors=(404,),
            ),
            Operation(
                "DELETE",
                f"{at}/{{id}}",
                f"{name}-delete",
                "definitions",
                "write",
                "Offer no more.",
                self._delete_definition,
                status=204,
                errors=(404, 412),
                told=True,
            ),
        ]

    def _secrets(self) -> list[Operation]:
        at, name = f"{self.base}/secrets", f"{self.dialect.name}-secrets"
        return [
            Operation(
                "POST", at, f"{name}-create", "secrets", "write", "Keep a secret.", self._create_secret, errors=(409,), told=True
            ),
            Operation(
                "PUT",
                at,
                f"{name}-update",
                "secrets",
                "write",
                "Replace a secret.",
                self._update_secret,
                status=204,
                errors=(404,),
                told=True,
            ),
            Operation(
                "GET",
                f"{at}/{{id}}",
                f"{name}-get",
                "secrets",
                "read",
                "That a secret is there; never its value.",
                self._get_secret,
                errors=(404,),
            ),
            Operation(
                "DELETE",
                f"{at}/{{id}}",
                f"{name}-delete",
                "secrets",
                "write",
                "Forget a secret.",
                self._delete_secret,
                status=204,
                errors=(404, 409),
                told=True,
            ),
        ]

    def _planes_operations(self) -> list[Operation]:
        at, name = f"{self.base}/dataplanes", f"{self.dialect.name}-dataplanes"
        shown = Operation("GET", at, name, "dataplanes", "read", "The data planes.", self._planes)
        refused, errors = "refused, for the connector brings its own.", (404, 409)
        return [
            shown,
            Operation(
                "PUT",
                at,
                f"{name}-register",
                "dataplanes",
                "write",
                f"Register a data plane: {refused}",
                self._register_plane,
                errors=errors,
                told=True,
            ),
            Operation(
                "DELETE",
                f"{at}/{{id}}",
                f"{name}-remove",
                "dataplanes",
                "write",
                f"Take a data plane off: {refused}",
                self._remove_plane,
                errors=errors,
                told=True,
            ),
        ]

    # -- assets -------------------------------------------------------------------------------------------------------

    async def _create_asset(self, request: web.Request) -> web.StreamResponse:
        asset = shapes.asset_of(await self.dialect.read(await request.read(), "Asset"))
        kept = await assets.create(self.m, asset, trusted=_trusted(request))
        return one(self.dialect, shapes.created(kept.id, kept.created_at))

    async def _update_asset(self, request: web.Request) -> web.StreamResponse:
        asset = shapes.asset_of(await self.dialect.read(await request.read(), "Asset"))
        _named(asset.id)
        await assets.update(self.m, asset, expected_version(request), trusted=_trusted(request))
        return done()

    async def _query_assets(self, request: web.Request) -> web.StreamResponse:
        return await page(
            self.dialect,
            request,
            lambda spec: assets.query(self.m, spec),
            lambda spec: assets.count(self.m, spec),
            shapes.asset_shown,
        )

    async def _get_asset(self, request: web.Request) -> web.StreamResponse:
        asset = await assets.find(self.m, request.match_info["id"])
        return tagged(one(self.dialect, shapes.asset_shown(asset)), asset.version)

    async def _delete_asset(self, request: web.Request) -> web.StreamResponse:
        await assets.delete(self.m, request.match_info["id"], expected_version(request))
        return done()

    # -- policies -----------------------------------------------------------------------------------------------------

    async def _create_policy(self, request: web.Request) -> web.StreamResponse:
        definition = shapes.policy_of(await self.dialect.read(await request.read(), "PolicyDefinition"))
        kept = await policies.create(self.m, definition)
        return one(self.dialect, shapes.created(kept.id, kept.created_at))

    async def _update_policy(self, request: web.Request) -> web.StreamResponse:
        document = await self.dialect.read(await request.read(), "PolicyDefinition")
        await policies.update(self.m, shapes.policy_of(document, request.match_info["id"]), expected_version(request))
        return done()

    async def _query_policies(self, request: web.Request) -> web.StreamResponse:
        return await page(
            self.dialect,
            request,
            lambda spec: policies.query(self.m, spec),
            lambda spec: policies.count(self.m, spec),
            shapes.policy_shown,
        )

    async def _get_policy(self, request: web.Request) -> web.StreamResponse:
        definition = await policies.find(self.m, request.match_info["id"])
        return tagged(one(self.dialect, shapes.policy_shown(definition)), definition.version)

    async def _delete_policy(self, request: web.Request) -> web.StreamResponse:
        await policies.delete(self.m, request.match_info["id"], expected_version(request))
        return done()

    async def _validate(self, request: web.Request) -> web.StreamResponse:
        return one(self.dialect, validation_shown(await policies.validate(self.m, request.match_info["id"])))

    async def _plan(self, request: web.Request) -> web.StreamResponse:
        document = await self.dialect.read(await request.read(), "PolicyEvaluationPlanRequest")
        plan = await policies.evaluation_plan(self.m, request.match_info["id"], needed(document, "policyScope"))
        return one(self.dialect, plan_shown(plan))

    # -- contract definitions -----------------------------------------------------------------------------------------

    async def _create_definition(self, request: web.Request) -> web.StreamResponse:
        definition = shapes.definition_of(await self.dialect.read(await request.read(), "ContractDefinition"))
        kept = await definitions.create(self.m, definition)
        return one(self.dialect, shapes.created(kept.id, kept.created_at))

    async def _update_definition(self, request: web.Request) -> web.StreamResponse:
        definition = shapes.definition_of(await self.dialect.read(await request.read(), "ContractDefinition"))
        _named(definition.id)
        await definitions.update(self.m, definition, expected_version(request))
        return done()

    async def _query_definitions(self, request: web.Request) -> web.StreamResponse:
        return await page(
            self.dialect,
            request,
            lambda spec: definitions.query(self.m, spec),
            lambda spec: definitions.count(self.m, spec),
            shapes.definition_shown,
        )

    async def _get_definition(self, request: web.Request) -> web.StreamResponse:
        definition = await definitions.find(self.m, request.match_info["id"])
        return tagged(one(self.dialect, shapes.definition_shown(definition)), definition.version)

    async def _delete_definition(self, request: web.Request) -> web.StreamResponse:
        await definitions.delete(self.m, request.match_info["id"], expected_version(request))
        return done()

    # -- secrets, data planes -----------------------------------------------------------------------------------------

    async def _create_secret(self, request: web.Request) -> web.StreamResponse:
        secret_id, value = shapes.secret_of(await self.dialect.read(await request.read(), "Secret"))
        kept = await secrets.create(self.m, secret_id, value)
        return one(self.dialect, shapes.created(kept.id, kept.created_at))

    async def _update_secret(self, request: web.Request) -> web.StreamResponse:
        secret_id, value = shapes.secret_of(await self.dialect.read(await request.read(), "Secret"))
        _named(secret_id)
        await secrets.update(self.m, secret_id, value)
        return done()

    async def _get_secret(self, request: web.Request) -> web.StreamResponse:
        return one(self.dialect, shapes.secret_shown(await secrets.find(self.m, request.match_info["id"])))

    async def _delete_secret(self, request: web.Request) -> web.StreamResponse:
        await secrets.delete(self.m, request.match_info["id"])
        return done()

    async def _planes(self, request: web.Request) -> web.StreamResponse:
        del request
        return raw_json([self.dialect.shown(plane_shown(each)) for each in await checks.planes(self.m)])

    async def _register_plane(self, request: web.Request) -> web.StreamResponse:
        del request
        raise checks.own_plane()

    async def _remove_plane(self, request: web.Request) -> web.StreamResponse:
        plane_id = request.match_info["id"]
        if plane_id not in {each.id for each in await checks.planes(self.m)}:
            raise NotFound("dataplane-unknown", f"there is no data plane {plane_id:.80}")
        raise checks.own_plane()


def _trusted(request: web.Request) -> bool:
    """Whether a caller may send a secret to a server that he names."""
    return caller_of(request).may(scope("secrets", "write"))


def _named(thing_id: str) -> None:
    if not thing_id:
        raise invalid("@id is missing: which one is it?", "@id")


def plane_shown(plane: DataPlane) -> Document:
    """A data plane."""
    return {
        "@type": "DataPlaneInstance",
        "@id": plane.id,
        "url": plane.url,
        "state": plane.state,
        "allowedSourceTypes": list(plane.source_types),
        "allowedDestTypes": [],
        "allowedTransferTypes": list(plane.transfer_types),
        "destinationProvisionTypes": [],
        "lastActive": plane.last_active,
        "stateTimestamp": plane.last_active,
        "properties": {},
    }
