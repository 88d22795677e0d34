"""`carnet publish --approval-role`: people are asked before an offer binds us. Its options, and the rule that they make."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import click

ROLES: Final = ("operator", "commercial", "data-protection-officer")
DEADLINE_MOST_S: Final = 31_536_000
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_WITHIN: Final = re.compile(r"([0-9]{1,9})([smhd]?)")


def asking_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--approval-role`, `--eyes` and `--approve-within`."""
    for option in (
        click.option(
            "--approve-within",
            metavar="TIME",
            help="How long they have, such as 90m, 48h or 7d; then it is refused. Without: negotiation.decision_deadline_s.",
        ),
        click.option(
            "--eyes",
            type=click.IntRange(1, 2),
            help="How many people have to say yes before an offer binds us: 2 for four eyes.",
        ),
        click.option(
            "--approval-role",
            "approval_roles",
            multiple=True,
            type=click.Choice(ROLES),
            help="Ask somebody with this role before an offer binds us; may be repeated.",
        ),
    ):
        command = option(command)
    return command


def asking(given: dict[str, Any]) -> dict[str, Any] | None:
    """Who is asked, from the options; None: the settings decide. Ends the command for a time that is none."""
    rule: dict[str, Any] = {}
    if given["approval_roles"]:
        rule["roles"] = list(given["approval_roles"])
    if given["eyes"]:
        rule["eyes"] = given["eyes"]
    if given["approve_within"]:
        rule["deadline_s"] = _seconds(given["approve_within"])
    return rule or None


def _seconds(within: str) -> int:
    found = _WITHIN.fullmatch(within)
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 1 <= seconds <= DEADLINE_MOST_S:
        raise click.UsageError(f"--approve-within {within:.40} is no time of at most a year; write it as 90m, 48h or 7d")
    return seconds
