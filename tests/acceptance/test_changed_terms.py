"""Nothing in an offer is changed without being seen: by the consumer in the agreement, by the provider in what is asked for."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from connector.protocol.redline import changes
from connector.protocol.states import State
from policies import dsp
from tests.acceptance.seven import OFFERS, Offered
from tests.acceptance.shop import open_shop

each_offer = pytest.mark.parametrize("offered", OFFERS, ids=lambda offered: offered.number)
TERMS: Final = ("profile", "permission", "prohibition")
CITY: Final = dsp.write(OFFERS[3].policy)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every text."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    else:
        yield path


def branches(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every member and item, whatever it holds."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, key)
            yield from branches(inner, (*path, key))


def spoilt(offer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The offer with one text changed, or with one thing left out, in every place of its terms."""
    for found in (*leaves(offer), *branches(offer)):
        if found[0] not in TERMS:
            continue
        changed = copy.deepcopy(offer)
        holder: Any = changed
        for step in found[:-1]:
            holder = holder[step]
        if isinstance(holder[found[-1]], str):
            holder[found[-1]] += "9"
            yield changed
            changed = copy.deepcopy(changed)
            holder = changed
            for step in found[:-1]:
                holder = holder[step]
        del holder[found[-1]]
        yield changed


@each_offer
def test_an_agreement_that_says_otherwise_is_seen(offered: Offered) -> None:
    offer = dsp.write(offered.policy)
    for changed in spoilt(offer):
        assert changes(offer, changed), changed
        assert changes(changed, offer), changed


async def test_another_currency_is_another_offer(tmp_path: Path) -> None:
    text = json.dumps({"@id": "urn:offer:priced", **{name: CITY[name] for name in TERMS}})
    async with open_shop(tmp_path) as shop:
        await shop.offer(json.loads(text))
        process = await shop.asked(json.loads(text.replace("Q4916", "Q41588")))
    assert (process.state, process.detail.pending) == (State.REQUESTED, "decide-counter-offer")
    assert [change["sentence"] for change in process.detail.redline] == [
        "Changed: The price is 4900.00 EUR. → The price is 4900.00 Q41588."
    ]
