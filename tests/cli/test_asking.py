"""`carnet publish --approval-role`: the rule that the options make."""

from __future__ import annotations

from typing import Any, get_args

import click
import pytest

from connector.access.caller import SCOPES
from connector.cli.asking import DEADLINE_MOST_S, ROLES, asking
from connector.flow import approvals


def given(**options: Any) -> dict[str, Any]:
    return {"approval_roles": (), "eyes": None, "approve_within": None, **options}


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({}, None),
        ({"approval_roles": ("commercial",)}, {"roles": ["commercial"]}),
        ({"eyes": 2, "approve_within": "48h"}, {"eyes": 2, "deadline_s": 172_800}),
        ({"approve_within": "90"}, {"deadline_s": 90}),
        ({"approve_within": "30m"}, {"deadline_s": 1800}),
        ({"approve_within": "365d"}, {"deadline_s": DEADLINE_MOST_S}),
    ],
)
def test_the_options_are_a_rule(options: dict[str, Any], rule: dict[str, Any] | None) -> None:
    assert asking(given(**options)) == rule


@pytest.mark.parametrize("within", ["0", "366d", "soon", "1 h", "-5m", "1w"])
def test_a_time_that_is_none_ends_the_command(within: str) -> None:
    with pytest.raises(click.UsageError, match="--approve-within"):
        asking(given(approve_within=within))


def test_the_command_line_knows_the_roles_that_may_decide() -> None:
    assert set(ROLES) == {role.value for role, scopes in SCOPES.items() if "approvals:write" in scopes}
    assert set(ROLES) == set(get_args(approvals.Decides))
    assert DEADLINE_MOST_S == approvals.DEADLINE_MOST_S
