"""VINs: their form, their check digit by another way of reckoning, and that no two are equal."""

from __future__ import annotations

import pytest

from connector.demo.fleet import ENVIROCAR, KIT, vins

WORTH = dict(zip("0123456789ABCDEFGHJKLMNPRSTUVWXYZ", [*range(10), *range(1, 9), *range(1, 6), 7, 9, *range(2, 10)], strict=True))
WEIGHTS = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2]


def check_digit(code: str) -> str:
    return "0123456789X"[sum(WORTH[letter] * weight for letter, weight in zip(code, WEIGHTS, strict=True)) % 11]


def test_the_reckoning_knows_published_numbers() -> None:
    assert [check_digit(code) for code in ("1M8GDM9AXKP042788", "11111111111111111")] == ["X", "1"]


@pytest.mark.parametrize("seed", [0, 1, 20_251])
def test_check_digits_hold(seed: int) -> None:
    codes = vins(KIT, 3_000, seed).to_pylist()
    assert len(set(codes)) == 3_000
    for code in codes:
        assert len(code) == 17
        assert set(code) <= set(WORTH)
        assert code[8] == check_digit(code)


def test_all_are_of_a_maker_that_cannot_be() -> None:
    assert {code[:3] for code in vins(ENVIROCAR, 500, 3).to_pylist()} == {"0CN"}


def test_a_million_vehicles_have_a_million_numbers() -> None:
    assert len(vins(KIT, 1_200_000, 1).unique()) == 1_200_000


def test_a_smaller_fleet_is_the_beginning_of_a_larger() -> None:
    assert vins(KIT, 10, 1).equals(vins(KIT, 900, 1)[:10])
    assert not vins(KIT, 10, 1).equals(vins(KIT, 10, 2))
