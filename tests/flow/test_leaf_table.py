"""The stories of `leaf_table.py` bring about everything that the control plane can tell the contract log."""

from __future__ import annotations

from typing import Final, get_args

import pytest

from connector.flow.leaves import NAMES
from connector.log.leaf import TYPES, LeafType
from connector.store.evidence import ReceiptState
from tests.flow.leaf_table import STORIES

TOLD: Final = {line for story in STORIES.values() for side in story.values() for line in side}
OURS: Final[tuple[LeafType, ...]] = (
    "key",
    "participant",
    "offer",
    "message",
    "decision",
    "agreement",
    "receipt",
    "erasure",
    "termination",
)
LISTED: Final = [
    (kind, member, value)
    for kind in OURS
    for member, form in TYPES[kind].items()
    if isinstance(form, frozenset) and member != "role"
    for value in sorted(form)
]


@pytest.mark.parametrize(("kind", "member", "value"), LISTED)
def test_each_word_of_the_table_is_said(kind: LeafType, member: str, value: str) -> None:
    assert any(line.startswith(f"{kind}: ") and value in line.split() for line in TOLD), member


@pytest.mark.parametrize("state", get_args(ReceiptState))
def test_each_state_of_a_receipt_is_told(state: str) -> None:
    assert f"receipt: {state}" in TOLD


@pytest.mark.parametrize("name", sorted(NAMES.values()))
def test_each_message_of_the_protocol_is_told_on_both_sides(name: str) -> None:
    assert {
        f"message: out dsp {name} queued",
        f"message: out dsp {name} acknowledged",
        f"message: in dsp {name} received",
    } <= TOLD


@pytest.mark.parametrize("channel", ["dsp", "peer"])
def test_each_end_of_a_message_is_told(channel: str) -> None:
    for event in ("queued", "acknowledged", "refused", "given-up"):
        assert any(line.startswith(f"message: out {channel} ") and line.endswith(f" {event}") for line in TOLD)


@pytest.mark.parametrize("end", ["negotiation us", "negotiation them", "transfer us", "transfer them"])
def test_each_end_is_told_with_who_ended_it(end: str) -> None:
    assert any(line == f"termination: {end}" or line.startswith(f"termination: {end} ") for line in TOLD)
