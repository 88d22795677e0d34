"""The attack table: every hostile token and request on a running connector. `python -m tests.attacks.table` prints it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.conftest import Lines
from tests.attacks.stand import made_stand, standing
from tests.attacks.table import cases, tried
from tests.attacks.table import lines as table
from tests.attacks.target import Liar


@pytest.mark.timeout(300)
async def test_every_attack_is_answered_as_it_must_be(tmp_path: Path, lines: Lines, liar: Liar) -> None:
    """In one story, since what one attack leaves behind must not help the next."""
    async with standing(await made_stand(tmp_path / "us", liar), liar) as stand:
        results = [await tried(stand, case) for case in cases()]
        told = await stand.target.own("GET", "/status")
    assert told.status == 200
    print("\n".join(table(results)))  # noqa: T201 - for who runs it with -s
    assert not [result for result in results if not result.as_expected]
    # How every token begins: none is in a log, not even a hostile one.
    assert "eyJ" not in repr(lines)


def test_each_attack_has_a_name_of_its_own() -> None:
    names = [(case.where, case.name) for case in cases()]
    assert len(names) == len(set(names)) > 1000
