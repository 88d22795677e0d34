"""What somebody tries who has no key, has another's, or a token that is for something else. Everything is signed as it should be,
so that it is refused for what is wrong with it."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from multidict import CIMultiDict

from connector.access.caller import Role
from connector.identity.gate import TokenRefused, public_key
from connector.identity.signing import sign
from tests.access.desk import AUDIENCE, OURS, SSO, THEIRS, US, Desk
from tests.identity import gatehouse
from tests.identity.gatehouse import Gatehouse

THINGS, KEYS = "/carnet/v1/things", "/carnet/v1/access/keys"


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def of_key(desk: Desk, *roles: Role) -> dict[str, Any]:
    """The claims of a token for a new key."""
    key_id = (await desk.key(*roles or (Role.OPERATOR,))).split("_")[1]
    made = {"iss": US, "aud": AUDIENCE, "sub": f"key:{key_id}", "client_id": key_id, "scope": "assets:read", "jti": "1"}
    return {**made, "iat": desk.now_s, "exp": desk.now_s + 60}


def forged(claims: dict[str, Any], header: dict[str, Any], signature: bytes | None = None) -> str:
    """A token with any header, signed by the key of ours that it is right to sign with, or with other bytes."""
    said = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    if signature is not None:
        return f"{said}.{b64(signature)}"
    # The real signature over a real header does not hold for another one.
    return f"{said}.{sign(OURS, 'at+jwt', claims).rpartition('.')[2]}"


# -- algorithms and headers of tokens -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "nOnE", "", "es256", "HS256", "HS512", "RS256", "PS256", "ES512", "A128KW"]
)
async def test_an_algorithm_that_is_not_ours(desk: Desk, alg: str) -> None:
    claims, header = await of_key(desk), {"alg": alg, "typ": "at+jwt", "kid": OURS.kid}
    said = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    public = public_key(OURS.public_jwk).key
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, json.dumps(dict(OURS.public_jwk)).encode(), b""):
        signature = hmac.digest(secret, said.encode(), "sha256") if secret else b"x"
        status, code = await desk.status(f"{said}.{b64(signature)}")
        desk.monotonic += 60
        assert (status, code in ("token-algorithm", "token-header")) == (401, True), code
    assert (await desk.status(f"{said}."))[0] == 401


@pytest.mark.parametrize(
    "more",
    [
        {"jwk": dict(THEIRS.public_jwk)},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/chain"},
        {"x5c": ["AAAA"]},
        {"crit": ["exp"]},
        {"b64": False},
        {"zip": "DEF"},
        {"kid": {"a": 1}},
    ],
    ids=lambda more: next(iter(more)),
)
async def test_a_header_that_brings_its_own_rules(desk: Desk, more: dict[str, Any]) -> None:
    claims = await of_key(desk)
    header = {"alg": "ES256", "typ": "at+jwt", "kid": OURS.kid, **more}
    assert await desk.status(forged(claims, header)) == (401, "token-header")
    assert "evil" not in str(desk.shelf.pages)


@pytest.mark.parametrize("kid", [None, "", "../../etc/passwd", "' OR 1=1 --", "theirs"])
async def test_a_key_of_another_name(desk: Desk, kid: str | None) -> None:
    claims = await of_key(desk)
    header = {"alg": "ES256", "typ": "at+jwt"} | ({} if kid is None else {"kid": kid})
    status, code = await desk.status(forged(claims, header))
    assert (status, code in ("token-key-unknown", "token-header")) == (401, True)


async def test_an_external_issuer_speaks_for_no_key_of_ours(desk: Desk) -> None:
    claims = await of_key(desk)
    # Signed by the external issuer in our name, and by it as itself about a key of ours.
    assert await desk.status(desk.signed(by=THEIRS, **claims)) == (401, "token-key-unknown")
    desk.monotonic += 60
    caller = await desk.tokens.caller(desk.external(sub=claims["sub"]))
    assert caller.id.startswith("token:")
    assert caller.roles == {Role.AUDITOR}
    assert caller.behind != claims["sub"]
    assert await desk.status(desk.signed(**{**claims, "iss": SSO})) == (401, "token-key-unknown")


# -- tokens for something else --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typ", ["JWT", "dpop+jwt", "client-authentication+jwt", "jose", "jwt", "at+jwt+x", ""])
async def test_what_our_key_has_signed_for_another_purpose(desk: Desk, typ: str) -> None:
    claims = await of_key(desk)
    status, code = await desk.status(sign(OURS, typ, claims))
    assert (status, code in ("token-type", "token-header")) == (401, True)


async def test_a_peers_token_opens_nothing_here(desk: Desk) -> None:
    peer = "did:web:peer.example"
    bound: dict[str, Any] = {"participant_id": peer, "client_id": peer, "cnf": {"jkt": THEIRS.thumbprint}}
    scope = "catalog negotiation transfer messages"
    for code, token in (
        # As our protocol listener issues it, whose origin is another; at the same origin it is for another audience.
        ("token-issuer", desk.signed(iss="https://us.example", aud="https://us.example/dsp", sub=peer, scope=scope, **bound)),
        ("token-audience", desk.signed(aud=f"{US}/dsp/2025-1", sub=peer, scope=scope, **bound)),
        # And were it for us, it names no key.
        ("key-unknown", desk.signed(sub=peer, scope=scope, **bound)),
        ("key-unknown", desk.signed(sub=f"key:{peer}", scope="access:write", **bound)),
    ):
        desk.monotonic += 60
        assert await desk.status(token) == (401, code)
        desk.monotonic += 60
        answer = await desk.ask("GET", THINGS, headers={"Authorization": f"DPoP {token}", "DPoP": "x.y.z"})
        assert (answer.status, (await answer.json())["code"]) == (401, "credential-scheme")


@pytest.mark.parametrize("scheme", ["DPoP", "Bearer"])
@pytest.mark.parametrize(
    ("aud", "participant", "code"),
    [
        (f"{gatehouse.US}/management", None, "token-claim-missing"),
        (f"{gatehouse.US}/management", gatehouse.CITY, "token-audience"),
        (gatehouse.RESOURCE, None, "token-claim-missing"),
    ],
)
async def test_a_token_of_ours_opens_nothing_where_peers_come(scheme: str, aud: str, participant: str | None, code: str) -> None:
    house = Gatehouse()
    claims: dict[str, Any] = {"sub": participant or "key:" + "0" * 16, "participant_id": participant, "cnf": None}
    token = house.token(aud=aud, scope="catalog", **claims)
    with pytest.raises(TokenRefused) as refused:
        await house.bare({"Authorization": f"{scheme} {token}"})
    assert refused.value.code == code


async def test_an_api_key_is_nothing_where_peers_come(desk: Desk) -> None:
    key = await desk.key(Role.OPERATOR)
    with pytest.raises(TokenRefused):
        await Gatehouse().bare({"Authorization": f"Bearer {key}"})


# -- headers --------------------------------------------------------------------------------------------------------------------


async def written(desk: Desk, path: str, *headers: tuple[str, str]) -> int:
    """The status of an answer to a request as it is written here, header by header."""
    lines = [f"GET {path} HTTP/1.1", "Host: us.example", *(f"{name}: {value}" for name, value in headers), "Connection: close"]
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", desk.client.port)
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    return int(answer.split(b" ", 2)[1])


async def test_credentials_are_shown_once(desk: Desk) -> None:
    good, other = await desk.key(Role.OPERATOR), await desk.key(Role.AUDITOR)
    basic = "Basic " + base64.b64encode(f"x:{good}".encode()).decode()
    for pairs in (
        [("X-Api-Key", good), ("X-Api-Key", good)],
        [("X-Api-Key", other), ("x-api-key", good)],
        [("X-Api-Key", ""), ("X-Api-Key", good)],
        [("Authorization", f"Bearer {good}"), ("Authorization", f"Bearer {other}")],
        [("Authorization", basic), ("X-Api-Key", good)],
        [("Authorization", basic), ("Authorization", f"Bearer {good}")],
        [("Authorization", f"Bearer {good}"), ("X-Api-Key", other)],
        [("Authorization", f"Bearer {good}, Bearer {good}")],
        [("Authorization", good)],
        [("Cookie", f"x-api-key={good}")],
        [("X-Api-Key", f"Bearer {good}")],
        [("Proxy-Authorization", f"Bearer {good}")],
    ):
        desk.monotonic += 60
        assert await written(desk, THINGS, *pairs) in (400, 401), pairs
    assert await written(desk, THINGS, ("x-API-key", good)) == 200
    assert (await desk.ask("GET", f"{THINGS}?api_key={good}&access_token={good}")).status == 401
    assert len(desk.handled) == 1


async def test_a_method_is_what_it_is(desk: Desk) -> None:
    key = await desk.key(Role.AUDITOR)
    answer = await desk.ask("GET", THINGS, key, headers={"X-HTTP-Method-Override": "POST", "X-Method-Override": "POST"})
    assert answer.status == 200
    assert all(each.startswith("list") for each in desk.handled)


@pytest.mark.parametrize(("site", "status"), [("cross-site", 401), ("same-site", 401), ("same-origin", 200), ("none", 200)])
async def test_what_another_page_lets_a_browser_fetch_is_nobodys(desk: Desk, site: str, status: int) -> None:
    basic = base64.b64encode(f"x:{await desk.key(Role.OPERATOR)}".encode()).decode()
    answer = await desk.ask("GET", THINGS, headers={"Authorization": f"Basic {basic}", "Sec-Fetch-Site": site})
    assert answer.status == status


async def test_a_token_request_has_one_client(desk: Desk) -> None:
    mine, other = await desk.key(Role.AUDITOR), await desk.key(Role.OPERATOR)
    basic = ["Basic " + base64.b64encode(f"{key.split('_')[1]}:{key}".encode()).decode() for key in (mine, other)]
    form = {"grant_type": "client_credentials"}
    for headers, more in (
        (CIMultiDict([("Authorization", basic[0]), ("Authorization", basic[1])]), {}),
        (CIMultiDict([("Authorization", basic[0])]), {"client_id": other.split("_")[1]}),
    ):
        answer = await desk.client.post("/oauth/token", data={**form, **more}, headers=headers)
        assert answer.status == 400
    answer = await desk.client.post("/oauth/token", data=form, headers={"Authorization": f"Bearer {mine}"})
    assert (answer.status, (await answer.json())["error"]) == (401, "invalid_client")


# -- guessing -------------------------------------------------------------------------------------------------------------------


async def test_an_id_that_nobody_has_and_a_wrong_secret_read_alike(desk: Desk) -> None:
    key = await desk.key(Role.OPERATOR)
    _, key_id, secret = key.split("_", 2)
    wrong = ("A" if secret[0] != "A" else "B") + secret[1:]
    answers = []
    for guess in (f"carnet_{key_id}_{wrong}", f"carnet_{'0' * 16}_{secret}"):
        answer = await desk.ask("GET", THINGS, guess)
        answers.append((answer.status, await answer.read(), sorted(answer.headers.keys()), answer.headers["WWW-Authenticate"]))
        status, said = await desk.token(client_id=guess.split("_")[1], client_secret=guess.split("_", 2)[2])
        answers.append((status, json.dumps(said, sort_keys=True).encode(), [], ""))
    assert answers[:2] == answers[2:]


async def test_only_who_knows_the_secret_learns_that_a_key_has_ended(desk: Desk) -> None:
    key = await desk.key(Role.OPERATOR, expires_at=desk.street.now + 1)
    desk.street.now += 1
    assert await desk.status(key) == (401, "key-expired")
    assert await desk.status(key[:-2] + ("AA" if key[-2:] != "AA" else "BB")) == (401, "key-unknown")


async def test_a_token_is_guessed_no_more_often_than_a_key(desk: Desk) -> None:
    claims = await of_key(desk)
    header = {"alg": "ES256", "typ": "at+jwt", "kid": OURS.kid}
    for number in range(5):
        assert await desk.status(forged({**claims, "jti": str(number)}, header, b"x" * 64)) == (401, "token-signature")
    assert (await desk.status(desk.signed(**claims)))[0] == 429
