"""Tokens: given for a key and as good as it, and those of an external issuer by the mapping of its settings."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from connector.access.caller import SCOPES, Role
from connector.identity.keys import Use
from connector.store.access import revoke_key
from tests.access.desk import AUDIENCE, OTHER, SSO, SSO_KEYS, THEIRS, US, Desk, opened
from tests.access.served import served
from tests.identity.office import ring
from tests.identity.shelf import page


def parts(key: str) -> dict[str, str]:
    _, key_id, secret = key.split("_", 2)
    return {"client_id": key_id, "client_secret": secret}


# -- our own ------------------------------------------------------------------------------------------------------------------


async def test_a_key_becomes_a_token_with_all_that_it_may_do(desk: Desk) -> None:
    status, said = await desk.token(**parts(await desk.key(Role.AUDITOR)))
    assert (status, said["token_type"], said["expires_in"]) == (200, "Bearer", 600)
    assert set(said["scope"].split()) == SCOPES[Role.AUDITOR]
    assert await desk.status(said["access_token"]) == (200, "")


@pytest.mark.parametrize("way", ["basic", "escaped", "form", "whole in the form", "whole alone"])
async def test_ways_to_show_the_key(desk: Desk, way: str) -> None:
    key = await desk.key(Role.AUDITOR)
    given, form, headers = parts(key), {"grant_type": "client_credentials"}, {}
    if way in ("basic", "escaped"):
        name, secret = (quote(each) if way == "escaped" else each for each in given.values())
        headers["Authorization"] = "Basic " + b64encode(f"{name}:{secret}".encode()).decode()
    elif way == "form":
        form |= given
    else:
        form |= {"client_secret": key} | ({"client_id": key} if way == "whole in the form" else {})
    answer = await desk.client.post("/oauth/token", data=form, headers=headers)
    assert answer.status == 200, await answer.text()
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_token_is_narrowed_to_what_was_asked_for(desk: Desk) -> None:
    key = await desk.key(Role.COMMERCIAL)
    status, said = await desk.token(**parts(key), scope="assets:read")
    assert (status, said["scope"]) == (200, "assets:read")
    assert await desk.status(said["access_token"]) == (200, "")
    assert await desk.status(said["access_token"], method="POST") == (403, "scope-missing")
    assert await desk.status(key, method="POST") == (201, "")


@pytest.mark.parametrize(
    ("form", "status", "error", "code"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type", "unsupported-grant-type"),
        ({"client_secret": ""}, 401, "invalid_client", "client-missing"),
        ({"client_secret": "wrong"}, 401, "invalid_client", "key-unknown"),
        ({"client_id": "0" * 16}, 401, "invalid_client", "key-unknown"),
        ({"scope": "access:write"}, 400, "invalid_scope", "invalid-scope"),
        ({"scope": "nothing:known"}, 400, "invalid_scope", "invalid-scope"),
        ({"scope": " "}, 400, "invalid_scope", "invalid-scope"),
        ({"resource": "https://other.example"}, 400, "invalid_target", "resource-unknown"),
    ],
)
async def test_token_requests_that_are_refused(desk: Desk, form: dict[str, str], status: int, error: str, code: str) -> None:
    given = {**parts(await desk.key(Role.AUDITOR)), **form}
    found, said = await desk.token(**given)
    assert (found, said["error"], said["code"]) == (status, error, code)


async def test_two_ways_to_show_a_key_at_once_are_none(desk: Desk) -> None:
    given = parts(await desk.key(Role.AUDITOR))
    basic = "Basic " + b64encode(f"{given['client_id']}:{given['client_secret']}".encode()).decode()
    form = {"grant_type": "client_credentials", **given}
    answer = await desk.client.post("/oauth/token", data=form, headers={"Authorization": basic})
    assert answer.status == 400
    twice = await desk.client.post("/oauth/token", data=[("grant_type", "a"), ("grant_type", "b")])
    assert (await twice.json())["code"] == "parameter-twice"


@pytest.mark.parametrize("end", ["revoked", "expired"])
async def test_a_token_ends_with_its_key(desk: Desk, end: str) -> None:
    key = await desk.key(Role.AUDITOR, expires_at=desk.street.now + 300_000)
    token = (await desk.token(**parts(key)))[1]["access_token"]
    assert await desk.status(token) == (200, "")
    if end == "revoked":
        await desk.house.engine.commit([revoke_key(parts(key)["client_id"], desk.street.now)])
    desk.street.now += 300_000
    assert await desk.status(token) == (401, f"key-{end}")


async def test_a_token_that_was_taken_ends_in_time_and_with_the_key_that_signed_it(desk: Desk) -> None:
    given = parts(await desk.key(Role.AUDITOR))
    first = (await desk.token(**given))[1]["access_token"]
    assert await desk.status(first) == (200, "")
    desk.street.now += (600 + 30) * 1000
    assert await desk.status(first) == (401, "token-expired")
    second = (await desk.token(**given))[1]["access_token"]
    assert await desk.status(second) == (200, "")
    desk.ring.become(ring(OTHER))
    assert await desk.status(second) == (401, "token-key-unknown")


async def test_tokens_of_ours_that_do_not_hold(desk: Desk) -> None:
    key_id = parts(await desk.key(Role.OPERATOR))["client_id"]
    good: dict[str, Any] = {"sub": f"key:{key_id}"}
    assert await desk.status(desk.signed(**good)) == (200, "")
    wrong: list[tuple[str, str]] = [
        ("token-audience", desk.signed(**good, aud=US)),
        ("token-audience", desk.signed(**good, aud="https://us.example/dsp/2025-1")),
        ("token-claim-type", desk.signed(**good, aud=[AUDIENCE])),
        ("token-issuer", desk.signed(**good, iss="https://us.example")),
        ("token-key-unknown", desk.signed(by=OTHER, **good)),
        ("token-type", desk.signed(typ="client-authentication+jwt", **good)),
        ("token-expired", desk.signed(**good, iat=desk.now_s - 700, exp=desk.now_s - 100)),
        ("token-not-yet", desk.signed(**good, iat=desk.now_s + 100, exp=desk.now_s + 200)),
        ("token-lifetime", desk.signed(**good, exp=desk.now_s + 6000)),
        ("token-claim-missing", desk.signed(**good, jti=None)),
        ("key-unknown", desk.signed(sub="key:ffffffffffffffff")),
        ("token-form", "no.token"),
    ]
    header, claims, _ = desk.signed(**good).split(".")
    wrong.append(("token-signature", f"{header}.{claims}.{desk.signed(**good, jti='2').split('.')[2]}"))
    for code, token in wrong:
        desk.monotonic += 60
        assert await desk.status(token) == (401, code)


async def test_a_token_cannot_widen_what_its_key_may_do(desk: Desk) -> None:
    key_id = parts(await desk.key(Role.AUDITOR))["client_id"]
    token = desk.signed(sub=f"key:{key_id}", scope="assets:read assets:write access:write", roles=["operator"])
    assert await desk.status(token) == (200, "")
    assert await desk.status(token, method="POST") == (403, "scope-missing")


async def test_one_call_needs_what_each_of_its_parts_needs(tmp_path: Path) -> None:
    both = [each for each in served() if each.name in ("v3-edrs-begin", "v4-edrs-begin")]
    async with opened(tmp_path, both) as desk:
        key = await desk.key(Role.COMMERCIAL)
        for scopes, lacks in (
            ("edrs:write", "negotiations:write"),
            ("edrs:write negotiations:write", "transfers:write"),
            ("negotiations:write transfers:write", "edrs:write"),
        ):
            token = (await desk.token(**parts(key), scope=scopes))[1]["access_token"]
            for operation in both:
                answer = await desk.ask("POST", operation.path, token, json={})
                assert answer.status == 403
                assert lacks in await answer.text()


async def test_metadata_say_how_to_get_a_token(desk: Desk) -> None:
    resource = await (await desk.ask("GET", "/.well-known/oauth-protected-resource/management")).json()
    assert (resource["resource"], resource["authorization_servers"]) == (AUDIENCE, [US, SSO])
    server = await (await desk.ask("GET", "/.well-known/oauth-authorization-server")).json()
    assert (server["issuer"], server["token_endpoint"]) == (US, f"{US}/oauth/token")
    assert server["token_endpoint_auth_methods_supported"] == ["client_secret_basic", "client_secret_post"]
    keys = await (await desk.ask("GET", "/oauth/jwks")).json()
    assert [each["kid"] for each in keys["keys"]] == [desk.ring.signing(Use.OAUTH).kid]
    assert not {"d", "p"} & set(keys["keys"][0])


# -- of an external issuer ----------------------------------------------------------------------------------------------------


async def test_an_external_issuer_says_who_somebody_is(desk: Desk) -> None:
    caller = await desk.tokens.caller(desk.external())
    assert caller.roles == {Role.AUDITOR}
    assert caller.scopes == SCOPES[Role.AUDITOR]
    assert caller.id.startswith("token:")
    assert "person-1" not in caller.id
    assert caller.id == (await desk.tokens.caller(desk.external(jti="2"))).id
    assert caller.id != (await desk.tokens.caller(desk.external(sub="person-2"))).id


async def test_scopes_of_ours_in_an_external_token_narrow_it(desk: Desk) -> None:
    narrow = await desk.tokens.caller(desk.external(scope="openid assets:read access:write"))
    assert narrow.scopes == {"assets:read"}
    wide = await desk.tokens.caller(desk.external(scope="openid profile"))
    assert wide.scopes == SCOPES[Role.AUDITOR]


async def test_a_driver_of_an_external_issuer_has_a_vehicle(desk: Desk) -> None:
    driver = await desk.tokens.caller(desk.external(realm_access={"roles": ["drivers"]}, vehicle=7))
    assert (driver.roles, driver.vehicle) == (frozenset({Role.DRIVER}), 7)
    auditor = await desk.tokens.caller(desk.external(realm_access={"roles": ["drivers", "audit-team"]}))
    assert (auditor.roles, auditor.vehicle) == (frozenset({Role.AUDITOR}), None)
    assert await desk.status(desk.external(realm_access={"roles": ["drivers"]})) == (401, "token-vehicle")


async def test_external_tokens_that_do_not_hold(desk: Desk) -> None:
    for code, token in (
        ("token-roles", desk.external(realm_access={"roles": ["operator", "auditor"]})),
        ("token-roles", desk.external(realm_access={"roles": {"audit-team": 1}})),
        ("token-roles", desk.external(realm_access=None)),
        ("token-issuer", desk.external(iss="https://nobody.example")),
        ("token-audience", desk.external(aud=US)),
        ("token-signature", desk.external(by=OTHER, sub="key:x")),
        ("token-bound", desk.external(cnf={"jkt": THEIRS.thumbprint})),
        ("token-lifetime", desk.external(exp=desk.now_s + 86_400)),
    ):
        desk.monotonic += 60
        if code == "token-signature":
            desk.shelf.now += 1000
            desk.shelf.pages[SSO_KEYS] = page({"keys": [dict(THEIRS.public_jwk, kid="other")]})
        assert await desk.status(token) == (401, code)
        desk.shelf.pages[SSO_KEYS] = page({"keys": [dict(THEIRS.public_jwk)]})
        desk.shelf.now += 1000


async def test_an_issuer_that_is_away_is_no_reason_to_count_a_failure(desk: Desk) -> None:
    del desk.shelf.pages[SSO_KEYS]
    for _ in range(10):
        assert await desk.status(desk.external()) == (503, "issuer-unavailable")
