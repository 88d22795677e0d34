"""`carnet publish --table`: rows under the terms of the contract. Its options, and what was found in the table, for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import click

from connector.cli.documents import read_json
from policies.model import DPV

MAX_BYTES: Final = 1_048_576
_file = click.Path(path_type=Path, exists=True, dir_okay=False)
_OPTIONS: Final = ("mapping", "bases", "sensitive", "impersonal", "dry_run")


def table_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--table` and what goes with it."""
    for option in (
        click.option(
            "--dry-run",
            is_flag=True,
            help="Table: look at it and say what each offer would let out, at which level; publish nothing.",
        ),
        click.option(
            "--impersonal", is_flag=True, help="Table: its rows are not about vehicles of people; no consent is needed."
        ),
        click.option("--sensitive", type=_file, help="Table: JSON list of places {lat, lon, radius_m} that no row may show."),
        click.option(
            "--basis",
            "bases",
            multiple=True,
            metavar="NAME|IRI",
            help="Table: a legal basis beside consent that you have on record for all its vehicles, such as Contract.",
        ),
        click.option("--mapping", type=_file, help="Table: JSON file that says what the columns mean; without, it is guessed."),
        click.option(
            "--table",
            is_flag=True,
            help="Deliver its rows, shaped by the contract: CSV or Parquet, a file or a folder. Without: the file as it is.",
        ),
    ):
        command = option(command)
    return command


def table_wish(given: dict[str, Any]) -> dict[str, Any] | None:
    """What the data plane is told of the table, from the options; None: the file is delivered as it is."""
    used = [name for name in _OPTIONS if given[name]]
    if not given["table"]:
        if used:
            raise click.UsageError(f"these go with --table only: {', '.join(_name(name) for name in used)}")
        return None
    wish: dict[str, Any] = {"personal": not given["impersonal"]}
    if given["mapping"] is not None:
        wish["mapping"] = read_json(given["mapping"], MAX_BYTES, dict, "a mapping, a JSON object")
    if given["sensitive"] is not None:
        wish["sensitive"] = read_json(given["sensitive"], MAX_BYTES, list, "places, a JSON list")
    if given["bases"]:
        wish["bases"] = [basis if ":" in basis else DPV + basis for basis in given["bases"]]
    return wish


def table_lines(published: dict[str, Any], *, plans: bool = False) -> Iterator[str]:
    """What was found in the table, what its columns were taken for, and what each offer would release; with ``plans`` each
    under its offer and permission, with what is wrong with it."""
    source = published["source"]
    yield f"  {source['rows']} rows of {source['vehicles']} vehicles, one each {_seconds(source.get('samplingIntervalMs'))}"
    mapping = source["mapping"]
    for column in mapping.get("columns", []):
        unit = f" [{column['unit']}]" if column.get("unit") else ""
        meaning = "" if column["header"] == column["path"] else f" is {column['path']}"
        yield f"  column {column['header']}{meaning}{unit}, {column.get('category', 'diagnostics')}"
    for release in published.get("releases", []):
        if plans:
            yield f"  offer {release['policy']}, permission {release['permission']}: {release['level'] or 'no plan'}"
            yield from problem_lines(release["problems"])
        for sentence in release.get("sentences", []):
            yield f"  {sentence}"


def problem_lines(problems: list[dict[str, Any]]) -> Iterator[str]:
    """What is wrong, where, and what to do about it."""
    for each in problems:
        yield f"  problem at {each['path'] or '/'}: {each['sentence']}"
        if each.get("remedy"):
            yield f"    {each['remedy']}"


def _seconds(interval_ms: int | None) -> str:
    return "time of its own" if interval_ms is None else f"{interval_ms / 1000:g} s"


def _name(option: str) -> str:
    return "--basis" if option == "bases" else f"--{option.replace('_', '-')}"
