"""The data plane is killed again and again, and asked to publish what it must not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import connector.app as app
from connector.companion import Companion
from connector.flow.plane import Plane
from tests.attacks.conftest import Lines
from tests.attacks.target import Liar, Target, attacked, made


@pytest.fixture
async def companions(monkeypatch: pytest.MonkeyPatch) -> list[Companion]:
    """Who keeps the data plane alive."""
    made_here: list[Companion] = []

    class Known(Companion):
        def __init__(self, config: Path, plane: Plane) -> None:
            super().__init__(config, plane)
            made_here.append(self)

    monkeypatch.setattr(app, "Companion", Known)
    return made_here


@pytest.fixture
async def whole(tmp_path: Path, lines: Lines, liar: Liar, companions: list[Companion]) -> AsyncIterator[Target]:
    """A connector with its data plane."""
    settings = await made(tmp_path / "us", liar, {"data.managed": "true", "data.signaling_port": "0", "data.public_port": "0"})
    (tmp_path / "us" / "file.csv").write_text("a,b\n")
    async with attacked(settings, liar) as target:
        yield target


async def test_killed_again_and_again(whole: Target, tmp_path: Path, companions: list[Companion]) -> None:
    """Meanwhile the owner is told so, and each time it is there again."""
    for number in range(3):
        process = companions[0]._process
        assert process is not None
        process.kill()
        while whole.running.plane.ready:
            await whole.alive()
        away = await whole.own("POST", "/datasets", {"id": f"d{number}", "file": str(tmp_path / "us" / "file.csv")})
        assert away.status in (201, 503), away.body
        await whole.running.plane.wait_ready()
        back = await whole.own("POST", "/datasets", {"id": f"d{number}", "file": str(tmp_path / "us" / "file.csv")})
        assert back.status == 201, back.body
    await whole.alive()


async def test_only_files_of_the_source_roots_are_published(whole: Target, tmp_path: Path) -> None:
    folder = tmp_path / "us"
    (tmp_path / "secret").write_text("not for you")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "circle").symlink_to(folder / "circle")
    (folder / "folder").mkdir()
    names = ("../secret", "link", "circle", "folder", "none", "x" * 5000, "\u2603")
    odd = ("", "file.csv", "/etc/passwd", "/dev/zero", "file:///etc/passwd", *(f"{folder}/{name}" for name in names))
    for path in odd:
        answer = await whole.own("POST", "/datasets", {"id": "d", "file": path})
        assert answer.status in (400, 403, 404), (path, answer.status, answer.body)
        assert b"not for you" not in answer.body
    for dataset in ("a/b", "ä☃", "..", "%2F", "x" * 2049, ""):
        answer = await whole.own("POST", "/datasets", {"id": dataset, "file": str(folder / "file.csv")})
        assert answer.status in (201, 400), (dataset, answer.status, answer.body)
    again = await asyncio.gather(*(whole.own("POST", "/datasets", {"id": "d", "file": f"{folder}/file.csv"}) for _ in range(20)))
    assert {answer.status for answer in again} == {201}
    await whole.alive()
