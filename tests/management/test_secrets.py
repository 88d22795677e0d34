"""What opens a source is sealed, handed to the data plane, and shown to nobody."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from catalog.contexts import EDC_MANAGEMENT
from connector.management import assets, secrets, shapes, sources
from connector.management.documents import flat
from connector.management.model import EDC, Asset
from connector.management.sealing import KEY_FILE, SecretBox, open_box
from connector.management.service import Management
from connector.protocol.errors import CallerError, Conflict, NotFound, Unavailable
from connector.settings.secret import SettingsError
from tests.management.stand import URL, Stand, asset, http


async def everything(m: Management) -> str:
    """Every row of every table, as text."""
    tables = await m.store.engine.fetch("SELECT name FROM sqlite_master WHERE type = 'table'")
    return repr([await m.store.engine.fetch(f"SELECT * FROM {row[0]!s}") for row in tables])  # noqa: S608 - our tables


async def test_a_secret_opens_the_source_that_names_it(m: Management, plane: Stand) -> None:
    entry = await secrets.create(m, "api-key", "hunter2hunter2")
    await asset(m, "a", http(authKey="X-Key", secretName="api-key"))
    assert plane.sources["a"]["http"]["credential"] == {"header": "X-Key", "value": "hunter2hunter2"}
    assert "hunter2" not in await everything(m)
    renewed = await secrets.update(m, "api-key", "correct horse")
    assert (renewed.created_at, renewed.updated_at > entry.updated_at) == (entry.created_at, True)
    assert plane.sources["a"]["http"]["credential"]["value"] == "correct horse"
    assert await secrets.find(m, "api-key") == renewed
    with pytest.raises(Conflict, match="secret-used"):
        await secrets.delete(m, "api-key")
    await assets.delete(m, "a")
    await secrets.delete(m, "api-key")
    with pytest.raises(NotFound):
        await secrets.find(m, "api-key")


async def test_a_secret_that_is_not_there_opens_nothing(m: Management) -> None:
    for name in ("missing", f"{sources.RESERVED}a"):
        with pytest.raises(CallerError, match="secret-unknown"):
            await asset(m, "b", http(secretName=name))


async def test_what_is_written_into_an_address_is_never_shown(m: Management, plane: Stand) -> None:
    more = {"authKey": "Authorization", "authCode": "Bearer s3cret", "header:X-Tenant": "t-9", "header:Accept": "text/csv"}
    await asset(m, "a", http(**more))
    told = plane.sources["a"]["http"]
    assert told["credential"] == {"header": "Authorization", "value": "Bearer s3cret"}
    assert told["headers"] == {"X-Tenant": "t-9", "Accept": "text/csv"}
    shown = (await assets.find(m, "a")).data_address
    assert shown == http(authKey="Authorization", **{"header:Accept": "text/csv"})
    stored = await everything(m)
    assert "s3cret" not in stored
    assert "t-9" not in stored


async def test_metadata_for_the_data_plane_hold_no_key_either(m: Management, plane: Stand) -> None:
    described = {"type": "HttpData", "baseUrl": URL, "authKey": "X-Key", "authCode": "s3cret", "header:X-Tenant": "t-9"}
    body = {"@context": [EDC_MANAGEMENT], "@type": "Asset", "@id": "a", "properties": {}}
    metadata = {"@type": "DataplaneMetadata", "labels": ["x"], "properties": described}
    await assets.create(m, shapes.asset_of(await flat({**body, "dataplaneMetadata": metadata})))
    assert plane.sources["a"]["http"]["credential"]["value"] == "s3cret"
    shown = shapes.asset_shown(await assets.find(m, "a"))
    assert shown["dataplaneMetadata"]["properties"] == {"type": "HttpData", "baseUrl": URL, "authKey": "X-Key"}
    for text in (str(shown), await everything(m)):
        assert "s3cret" not in text
        assert "t-9" not in text


async def test_what_was_sealed_stays_with_its_server(m: Management, plane: Stand) -> None:
    await asset(m, "a", http(authKey="X-Key", authCode="s3cret"))
    shown = (await assets.find(m, "a")).data_address
    await assets.update(m, Asset("a", {f"{EDC}name": "new"}, data_address=shown))
    assert plane.sources["a"]["http"]["credential"]["value"] == "s3cret"
    await assets.update(m, Asset("a"))
    assert plane.sources["a"]["http"]["credential"]["value"] == "s3cret"
    await assets.update(m, Asset("a", data_address=http("https://attacker.example.com", authKey="X-Key")))
    assert "credential" not in plane.sources["a"]["http"]
    assert await m.store.secret(sources.credential_id("a")) is None
    await assets.update(m, Asset("a", data_address=http(authKey="X-Key")))
    assert "credential" not in plane.sources["a"]["http"]
    await assets.update(m, Asset("a", data_address=http(authKey="X-Key", authCode="other")))
    await assets.delete(m, "a")
    assert await m.store.secrets("", 10) == []


async def test_the_connectors_own_secrets_are_out_of_reach(m: Management) -> None:
    await asset(m, "a", http(authCode="s3cret"))
    own = sources.credential_id("a")
    for attempt in (secrets.find(m, own), secrets.update(m, own, "x"), secrets.delete(m, own)):
        with pytest.raises(NotFound):
            await attempt
    with pytest.raises(CallerError, match="secret-reserved"):
        await secrets.create(m, f"{sources.RESERVED}b", "x")


@pytest.mark.parametrize("value", ["", "x" * 8193])
async def test_a_value_has_its_bounds(m: Management, value: str) -> None:
    with pytest.raises(CallerError, match="secret-value"):
        await secrets.create(m, "s", value)


async def test_secrets_are_named_once(m: Management) -> None:
    assert (await secrets.create(m, "", "value")).id.startswith("urn:uuid:")
    await secrets.create(m, "s", "value")
    with pytest.raises(Conflict):
        await secrets.create(m, "s", "value")


def test_a_value_is_bound_to_its_name_and_its_key() -> None:
    box = SecretBox(bytes(32))
    sealed = box.seal("a", "value")
    assert box.unseal("a", sealed) == "value"
    assert box.seal("a", "value") != sealed
    for other, name, text in ((box, "b", sealed), (SecretBox(bytes([1] * 32)), "a", sealed), (box, "a", b"short")):
        with pytest.raises(Unavailable, match="secret-sealed"):
            other.unseal(name, text)
    assert "value" not in repr(box)


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    sealed = open_box(tmp_path).seal("a", "value")
    assert open_box(tmp_path).unseal("a", sealed) == "value"
    file = tmp_path / KEY_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]
    for nonsense in (b"nonsense", b"", b"\xff\xfe" * 20, b"a" * 100_000):
        file.write_bytes(nonsense)
        with pytest.raises(SettingsError, match="secrets-key-invalid"):
            open_box(tmp_path)
    file.chmod(0o644)
    with pytest.raises(SettingsError, match="secret-exposed"):
        open_box(tmp_path)
    with pytest.raises(SettingsError, match="secrets-key-unwritable"):
        open_box(tmp_path / "missing")


async def test_a_value_that_opens_nothing_changes_nothing(m: Management, plane: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await secrets.create(m, "k", "value")
    for name in ("a", "b"):
        await asset(m, name, http(secretName="k"))
    ask = plane.ask

    async def picky(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        if path.endswith("/b") and "\n" in str(body and body["http"]["credential"]["value"]):
            raise CallerError("http-headers", "no such value")
        return await ask(method, path, body)

    monkeypatch.setattr(Stand, "ask", lambda _, *given: picky(*given))
    with pytest.raises(CallerError, match="http-headers"):
        await secrets.update(m, "k", "other\n")
    assert {source["http"]["credential"]["value"] for source in plane.sources.values()} == {"value"}
    assert await secrets.find(m, "k") == before
    plane.away = True
    with pytest.raises(Unavailable):
        await secrets.update(m, "k", "other")
    plane.away = False
    await assets.renew(m, "a")
    assert plane.sources["a"]["http"]["credential"]["value"] == "value"


def test_many_who_begin_at_once_have_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        boxes = list(threads.map(open_box, [tmp_path] * 8))
    sealed = boxes[0].seal("a", "value")
    assert {box.unseal("a", sealed) for box in boxes} == {"value"}


async def test_a_secret_is_renewed_only_where_it_is_used(m: Management, plane: Stand) -> None:
    await secrets.create(m, "k", "value")
    await asset(m, "a", http(f"{URL}/k", name="k"))
    plane.asked.clear()
    await secrets.update(m, "k", "other")
    assert plane.asked == []
    await secrets.delete(m, "k")
