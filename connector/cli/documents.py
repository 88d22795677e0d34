"""JSON files that a person hands to a command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from connector.cli.errors import Failed, written


def read_json(file: Path, most_bytes: int, form: type[Any], what: str) -> Any:
    """The JSON document of a file, which must be a ``form`` (dict or list); ends the command, saying ``what`` it must hold."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(most_bytes + 1)
    except OSError as error:
        raise written(error, f"{file} cannot be read") from error
    if len(raw) > most_bytes:
        raise Failed("file-too-large", f"{file} is larger than {most_bytes} bytes")
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Failed("file-not-json", f"{file} holds no JSON document") from error
    if not isinstance(found, form):
        raise Failed("file-content", f"{file} must hold {what}")
    return found
