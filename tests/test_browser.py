"""The browser of the tests sees what it is there to see."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.browser import chromium


@pytest.mark.browser
@pytest.mark.parametrize(
    ("content", "seen"),
    [
        ("<script>throw new Error('thrown here')</script>", "thrown here"),
        ("<script>Promise.reject(new Error('rejected here'))</script>", "rejected here"),
        ("<script>console.error('said here')</script>", "said here"),
        ("<meta http-equiv=Content-Security-Policy content=\"script-src 'none'\"><script>1</script>", "Content Security Policy"),
    ],
)
async def test_what_goes_wrong_on_a_page_is_seen(tmp_path: Path, content: str, seen: str) -> None:
    page_file = tmp_path / "page.html"
    page_file.write_text(f"<!doctype html><title>wrong</title>{content}")
    async with chromium(tmp_path) as page:
        await page.open(page_file)
        await page.saw(seen)
        assert page.asked == [page_file.as_uri()]


@pytest.mark.browser
async def test_what_a_page_asks_for_is_seen_and_not_given(tmp_path: Path) -> None:
    page_file, there = tmp_path / "page.html", "http://elsewhere.example/picture.png"
    page_file.write_text(f"<!doctype html><title>asks</title><img src={there}>")
    async with chromium(tmp_path) as page:
        await page.open(page_file)
        assert page.asked == [page_file.as_uri(), there]
        await page.saw("ERR_NAME_NOT_RESOLVED")


@pytest.mark.parametrize(("required", "outcome"), [("0", pytest.skip.Exception), ("1", pytest.fail.Exception)])
async def test_without_chromium_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, required: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CARNET_REQUIRE_ALL", required)
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(outcome, match="needs Chromium"):
        async with chromium(tmp_path):
            pass
