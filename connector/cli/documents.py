"""JSON files that a person hands to a command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


def read_json(file: Path, most_bytes: int, form: type[Any], what: str) -> Any:
    """The JSON document of a file, which must be a ``form`` (dict or list); ends the command, saying ``what`` it must hold."""
    try:
        with file.open("rb") as opened:
            found = json.loads(opened.read(most_bytes))
    except (OSError, ValueError, RecursionError) as error:
        raise click.ClickException(f"{file} holds no JSON document") from error
    if not isinstance(found, form):
        raise click.ClickException(f"{file} must hold {what}")
    return found
