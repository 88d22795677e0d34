"""`carnet audit export AGREEMENT OUT.zip`: the evidence of one agreement, made by the running connector, written as one file.

May be the work of a minute; a file that is whole gets its name at the end.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import click

from connector.cli.channel import call, show
from connector.cli.errors import Failed, written

_PART: Final = ".part"


def exported(agreement: str | None, out: Path | None, config: Path, as_json: bool, counterparty: str | None = None) -> None:
    """Write the bundle of an agreement to ``out``, which must not be there yet. Ends the command when that is not possible."""
    if agreement is None or out is None:
        raise click.UsageError("name an agreement, and the file to write: carnet audit export AGREEMENT OUT.zip")
    if out.exists():
        raise Failed("file-exists", f"{out} is there already", "name another file, or move it away")
    part = out.with_name(out.name + _PART)
    try:
        opened = os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
    except FileExistsError as error:
        raise Failed("file-exists", f"{part} is there: another export writes it, or one was cut short", "remove it") from error
    except OSError as error:
        raise written(error) from error
    try:
        with opened:
            size = call(config, lambda client: client.evidence(agreement, opened, counterparty))
        part.replace(out)
    except OSError as error:
        raise written(error) from error
    finally:
        part.unlink(missing_ok=True)
    document = {"agreement": agreement, "file": str(out), "bytes": size}
    show(
        document,
        [f"{out}: the evidence of {agreement}, {size} bytes", f"  verify it with: carnet audit verify {out}"],
        as_json=as_json,
    )
