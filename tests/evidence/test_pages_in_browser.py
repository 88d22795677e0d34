"""The pages of a bundle as a browser shows them: nothing is asked for, nothing is wrong, on screen and on paper."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import chromium
from tests.evidence.forging import Forge

PAGES = ("contract.en.html", "contract.de.html", "contract.fr.html", "README.html")


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_asks_for_nothing_and_fits_screen_and_paper(forge: Forge, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(forge.provider[name])
    async with chromium(tmp_path) as page:
        await page.open(file)
        for medium, width in (("", 360), ("", 1100), ("print", 794)):
            await page.look(medium=medium, width=width)
            assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert page.errors == []
        assert [address for address in page.asked if not address.startswith("file:")] == []
