"""The management listener: nobody without a name, failures of an address, the first key."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from connector.access.caller import Role
from connector.http.addresses import RECOGNISED_S
from connector.listening import take_first_key
from connector.settings.secret import SettingsError
from connector.store.access import revoke_key
from tests.access.desk import US, Desk, forget_keys

THINGS = "/carnet/v1/things"
METADATA = f"{US}/.well-known/oauth-protected-resource/management"


# -- who --------------------------------------------------------------------------------------------------------------------


async def test_there_is_nobody_without_a_name(desk: Desk) -> None:
    answer = await desk.ask("GET", THINGS)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == f'Bearer resource_metadata="{METADATA}"'
    assert answer.content_type == "application/problem+json"
    assert desk.handled == []


async def test_a_wrong_token_and_a_missing_scope_are_challenged_in_the_words_of_oauth(desk: Desk) -> None:
    wrong = await desk.ask("GET", THINGS, "wrong")
    assert wrong.headers["WWW-Authenticate"].endswith('error="invalid_token"')
    narrow = await desk.ask("POST", THINGS, await desk.key(Role.AUDITOR))
    assert narrow.status == 403
    assert narrow.headers["WWW-Authenticate"].endswith('error="insufficient_scope"')
    detail = (await narrow.json())["detail"]
    assert "assets:write" in detail
    assert "operator or commercial" in detail


async def test_one_credential_at_a_time(desk: Desk) -> None:
    key = await desk.key(Role.AUDITOR)
    answer = await desk.ask("GET", THINGS, key, headers={"X-Api-Key": key})
    assert (await answer.json())["code"] == "credential-twice"


@pytest.mark.parametrize("value", ["Bearer ", "Digest abc", "Bearer " + "a" * 20_000, "Basic !!!", "Basic eA=="])
async def test_credentials_that_are_none(desk: Desk, value: str) -> None:
    answer = await desk.ask("GET", THINGS, headers={"Authorization": value})
    assert answer.status in (400, 401)
    assert desk.handled == []


async def test_a_browser_reads_with_basic_and_writes_nothing(desk: Desk) -> None:
    key = await desk.key(Role.OPERATOR)
    basic = {"Authorization": "Basic " + b64encode(f"x:{key}".encode()).decode()}
    assert (await desk.ask("GET", THINGS, headers=basic)).status == 200
    assert (await desk.ask("POST", THINGS, headers=basic)).status == 401
    asked = await desk.ask("GET", THINGS, headers={"Accept": "text/html,*/*"})
    assert asked.headers["WWW-Authenticate"].startswith("Basic ")


async def test_what_is_open_answers_everybody(desk: Desk) -> None:
    assert (await desk.ask("GET", "/management/check/health")).status == 200


async def test_paths_that_are_none(desk: Desk) -> None:
    for path, kind in (("/carnet/v1/none", "application/problem+json"), ("/management/v3/none", "application/json")):
        answer = await desk.ask("GET", path)
        assert (answer.status, answer.content_type) == (404, kind)
        assert f"there is nothing at {path}; /carnet/v1/docs lists what there is" in await answer.text()
    answer = await desk.ask("DELETE", THINGS)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, POST")
    assert "but GET, POST" in await answer.text()


async def test_what_is_neither_key_nor_token_is_called_so(desk: Desk) -> None:
    for name, shown in (("X-Api-Key", "secret"), ("Authorization", "Bearer secret")):
        answer = await desk.ask("GET", THINGS, headers={name: shown})
        assert (answer.status, "neither an API key (carnet_ID_SECRET) nor an access token" in await answer.text()) == (401, True)


# -- failures ---------------------------------------------------------------------------------------------------------------


async def test_who_fails_too_often_has_to_wait(desk: Desk) -> None:
    key = await desk.key(Role.AUDITOR)
    for _ in range(5):
        assert (await desk.status("carnet_wrong"))[0] == 401
    answer = await desk.ask("GET", THINGS, "carnet_wrong")
    assert answer.status == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert (await desk.status(key))[0] == 429
    desk.monotonic += 12
    assert (await desk.status(key))[0] == 200


async def test_who_is_known_does_not_wait_for_others_of_his_address(desk: Desk) -> None:
    key, late = await desk.key(Role.AUDITOR), await desk.key(Role.AUDITOR)
    token = (await desk.token(client_secret=key))[1]["access_token"]
    assert [(await desk.status(each))[0] for each in (key, token)] == [200, 200]
    for _ in range(6):
        await desk.status("carnet_wrong")
    assert [(await desk.status(each))[0] for each in (key, token, late, "carnet_wrong")] == [200, 200, 429, 429]
    # A key that is revoked is a failure like another, from the second time on.
    await desk.house.engine.commit([revoke_key(key.split("_")[1], desk.street.now)])
    desk.street.now += 1000
    assert await desk.status(key) == (401, "key-revoked")
    assert (await desk.status(key))[0] == 429


async def test_who_was_known_long_ago_waits_as_well(desk: Desk) -> None:
    key = await desk.key(Role.AUDITOR)
    assert (await desk.status(key))[0] == 200
    desk.monotonic += RECOGNISED_S
    for _ in range(6):
        await desk.status("carnet_wrong")
    assert (await desk.status(key))[0] == 429


async def test_failures_at_the_token_endpoint_count_as_well(desk: Desk) -> None:
    for _ in range(5):
        assert (await desk.token(client_id="0" * 16, client_secret="wrong"))[0] == 401
    assert (await desk.status("carnet_wrong"))[0] == 429
    status, said = await desk.token(client_id="0" * 16, client_secret="wrong")
    assert (status, said["error"], said["code"]) == (429, "temporarily_unavailable", "too-many-failures")


async def test_who_shows_nothing_does_not_fail(desk: Desk) -> None:
    for _ in range(10):
        assert (await desk.status(None))[0] == 401


# -- the first key ----------------------------------------------------------------------------------------------------------


async def test_the_first_key_is_an_operators_and_taken_once(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "operator.key"
    await take_first_key(file, desk.keys, desk.street.now)
    key = await desk.key(Role.OPERATOR)
    await forget_keys(desk)
    file.write_text(key + "\n")
    file.chmod(0o600)
    for _ in range(2):
        await take_first_key(file, desk.keys, desk.street.now)
    assert await desk.status(key, "/carnet/v1/access/keys") == (200, "")
    assert (await desk.ask("DELETE", f"/carnet/v1/access/keys/{key.split('_')[1]}", key)).status == 204
    await take_first_key(file, desk.keys, desk.street.now)
    assert await desk.status(key, "/carnet/v1/access/keys") == (401, "key-revoked")


async def test_a_first_key_that_others_can_read_is_refused(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "operator.key"
    file.write_text("carnet_none\n")
    file.chmod(0o644)
    with pytest.raises(SettingsError, match="secret-exposed"):
        await take_first_key(file, desk.keys, desk.street.now)
    file.chmod(0o600)
    with pytest.raises(SettingsError, match="key-form"):
        await take_first_key(file, desk.keys, desk.street.now)
