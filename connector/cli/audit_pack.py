"""`carnet audit pack`: the registers that an authority asks for, across agreements, computed from the verified log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from connector.audit.pack import make_pack
from connector.audit.packing import FILES, write_pack
from connector.cli.audit_source import asked, audit_options, opened_log, proven, scope_of, scope_options
from connector.cli.channel import show
from connector.cli.errors import Failed, written


@click.command(name="pack")
@audit_options
@scope_options
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("log_path", required=False, type=click.Path(path_type=Path), metavar="[LOG]")
def command(out: Path, log_path: Path | None, as_json: bool, **given: Any) -> None:
    """Write into the new folder OUT the register of processing, the consents and the recipients: CSV, JSON and a page to read.

    They are computed from LOG (without it, the log of the settings) after it was verified, and from the payloads beside it.
    """
    wanted, scope = asked(given), scope_of(given)
    wanted.settings(log_path)
    if out.exists():
        raise Failed("file-exists", f"{out} is there already")
    with proven(), opened_log(wanted, log_path) as log:
        pack = make_pack(log, scope)
    try:
        write_pack(pack, out)
    except OSError as error:
        raise written(error, f"{out} cannot be written") from error
    counts = {"agreements": len(pack.register), "consents": len(pack.consents), "recipients": len(pack.recipients)}
    size = pack.verified.checkpoint.size
    lines = [f"{out}: {', '.join(f'{count} {name}' for name, count in counts.items())}, from {size} lines of the log"]
    show({"out": str(out), "files": list(FILES), **counts, "size": size}, lines, as_json=as_json)
