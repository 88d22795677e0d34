"""Data over TLS, between two processes; and a data plane that is not started in the clear."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from connector.dataplane.settings import load_settings
from connector.settings import SettingsError
from tests.http.certificates import Authority

from .conftest import CONTROL_TOKEN, TOKEN, Control, MakePlane, Plane, content
from .test_transfer import FLOW, SIZE, begin, expect_complete


async def provider_and_authority(make_plane: MakePlane, folder: Path) -> tuple[Plane, Authority]:
    authority = await asyncio.to_thread(Authority, folder)
    files = await asyncio.to_thread(authority.issue)
    return await make_plane(more=tuple(files.toml().splitlines()), stream_bytes_per_s=1024 * 1024), authority


async def test_a_file_travels_over_tls_and_a_suspension_cuts_it(make_plane: MakePlane, control: Control, tmp_path: Path) -> None:
    provider, authority = await provider_and_authority(make_plane, tmp_path)
    assert provider.public_url.startswith("https://127.0.0.1:")
    consumer = await make_plane(provider.public_url.removeprefix("https://"), more=(f'ca_file = "{authority.file}"',))
    body = content(SIZE)
    await begin(provider, consumer, body, sink="trips.bin")
    await consumer.until_bytes(FLOW, 1)
    await provider.change(FLOW, "suspend", "p2")
    await consumer.change(FLOW, "suspend", "c3")
    assert 0 < (await consumer.seen(FLOW))["bytes"] < SIZE
    resumed = await provider.change(FLOW, "resume", "p3")
    await consumer.change(FLOW, "started", "c4", dataAddress=resumed["dataAddress"])
    await expect_complete(control, consumer, body)


async def test_data_of_somebody_unknown_to_our_authorities_are_not_fetched(
    make_plane: MakePlane, control: Control, tmp_path: Path
) -> None:
    provider, _ = await provider_and_authority(make_plane, tmp_path)
    consumer = await make_plane(provider.public_url.removeprefix("https://"), download_attempts=2)
    await begin(provider, consumer, content(10), sink="trips.bin")
    process, event, told = await control.next()
    assert (process, event) == (FLOW, "errored"), told
    assert "TLS" in str(told)


async def test_a_data_plane_with_a_bad_certificate_says_so_and_ends(make_plane: MakePlane, tmp_path: Path) -> None:
    authority = await asyncio.to_thread(Authority, tmp_path)
    files = await asyncio.to_thread(authority.issue)
    files.key.chmod(0o644)
    with pytest.raises(AssertionError, match="chmod 600"):
        await make_plane(more=tuple(files.toml().splitlines()))


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ('public_host = "0.0.0.0"', "missing-setting"),
        ('public_host = "0.0.0.0"\npublic_url = "https://us.example"', "tls-missing"),
        ('public_url = "http://us.example"', "tls-missing"),
        ('tls_certificate = "chain.pem"', "conflicting-settings"),
    ],
)
def test_a_data_plane_in_the_clear_is_refused(tmp_path: Path, lines: str, code: str) -> None:
    path = written(tmp_path, lines)
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert caught.value.code == code


def test_a_proxy_may_speak_tls_for_it(tmp_path: Path) -> None:
    lines = 'public_host = "0.0.0.0"\npublic_url = "https://us.example"\nbehind_proxy = true'
    settings = load_settings(written(tmp_path, lines))
    assert (settings.tls_certificate, settings.ca_file) == (None, None)


def written(folder: Path, lines: str) -> Path:
    for name, secret in (("token", TOKEN), ("control_token", CONTROL_TOKEN)):
        (folder / name).write_text(secret)
        (folder / name).chmod(0o600)
    path = folder / "data.toml"
    path.write_text(
        'database = "data.db"\ntoken_file = "token"\ncontrol_token_file = "control_token"\n'
        f'control_url = "http://127.0.0.1:1"\nsink_dir = "sinks"\n{lines}\n'
    )
    return path
