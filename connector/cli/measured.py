"""Quality figures of a file that is to be published, measured in the data: options, and one pass over a CSV file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from catalog.quality import Layout, measure_csv
from connector.cli.errors import Failed

_NAMES = ("vehicle", "trip", "time")


def measure_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--measure`, and which columns of the file say whose row it is, of which trip, and when."""
    for option in (
        click.option("--clock", type=click.Choice(["iso8601", "s", "ms"]), help="Measure: how times are written; iso8601."),
        *(click.option(f"--{name}", metavar="COLUMN", help=f"Measure: the column with the {name}.") for name in _NAMES),
        click.option("--measure", is_flag=True, help="Template: count rows, vehicles, gaps... of a CSV file for the record."),
    ):
        command = option(command)
    return command


def measured(file: Path, given: dict[str, Any]) -> dict[str, Any] | None:
    """The figures as the owner's channel takes them; None if they are not wanted. Ends the command for what is no such file."""
    if not given["measure"]:
        if wrong := [name for name in (*_NAMES, "clock") if given[name]]:
            raise click.UsageError(f"--{wrong[0]} goes with --measure")
        return None
    layout = Layout(given["vehicle"], given["trip"], given["time"], given["clock"] or "iso8601")
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            figures = measure_csv(lines, layout)
    except UnicodeDecodeError as error:
        raise Failed("file-content", f"{file} cannot be measured: it is no text in UTF-8", "write it as CSV in UTF-8") from error
    except (ValueError, OSError) as error:
        raise Failed("file-content", f"{file} cannot be measured: {error}") from error
    found: dict[str, Any] = msgspec.to_builtins(figures)
    return found
