"""The options by which an operator says what is verified about a participant, or what is to be supposed about one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

KINDS: Final = ("company", "public-body", "research", "sme")
_NAMES: Final = ("kind", "sector", "membership", "country", "gatekeeper")


def claim_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--kind`, `--sector`, `--membership`, `--country` and `--gatekeeper`."""
    for option in (
        click.option("--gatekeeper", is_flag=True, help="It is a gatekeeper under the Digital Markets Act."),
        click.option("--country", metavar="XX", help="Its country, two capital letters (ISO 3166-1)."),
        click.option("--membership", multiple=True, help="An association or data space it belongs to; may be repeated."),
        click.option("--sector", help="Its sector, in words that your policies use."),
        click.option("--kind", type=click.Choice(KINDS), help="What it is."),
    ):
        command = option(command)
    return command


def claims_of(given: dict[str, Any]) -> dict[str, Any] | None:
    """The claims among what was given on the command line; None where there are none."""
    return {name: given[name] for name in _NAMES if given[name]} or None
