"""`carnet audit verify`: a log, a bundle or a view, verified offline, in numbered steps, each with its result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from connector.audit.ceremony import NotProven, Step
from connector.audit.methods import thumbprints
from connector.audit.verifying import verify_log
from connector.audit.view import is_view, opened_folder, verify_view
from connector.cli.audit_source import Asked, asked, audit_options, not_proven, now_ms, opened_log, proven, read_did, say_step
from connector.cli.errors import Failed
from connector.cli.plain import plain_json, say
from connector.evidence.verifying import Known, verify_bundle
from connector.log.folder import CHECKPOINT


@click.command(name="verify")
@audit_options
@click.argument("path", required=False, type=click.Path(path_type=Path), metavar="[LOG|BUNDLE|VIEW]")
def command(path: Path | None, as_json: bool, **given: Any) -> None:
    """Verify a log folder, an evidence bundle or an auditor's view; without an argument the log of the settings.

    Needs nobody's word and no network. Give the log's key with --key (or --did) from a source of your own, else the one beside
    the log is taken, and that is said. With --seen, what another party kept tells whether the log was cut or written anew.
    """
    wanted = asked(given)
    told: Callable[[Step], None] = (lambda _: None) if as_json else say_step
    try:
        with proven(steps=False):
            kind, steps = _verified(wanted, path, told)
    except NotProven as error:
        if as_json:
            click.echo(plain_json({"proven": False, "steps": [step.document() for step in error.steps]}, indent=2))
        raise not_proven(error.steps) from error
    if as_json:
        click.echo(plain_json({"proven": True, "kind": kind, "steps": [step.document() for step in steps]}, indent=2))
        return
    open_steps = sum(step.result == "not-done" for step in steps)
    rest = f"; {open_steps} could not be done, as said above" if open_steps else ""
    say(f"The {kind} holds: {sum(step.result == 'passed' for step in steps)} steps passed{rest}.")


def _known(wanted: Asked) -> Known:
    trust = wanted.trust()
    keys = thumbprints(read_did(wanted.did)) if wanted.did is not None else frozenset()
    return Known(keys=keys, vkeys=trust.keys, witnesses=trust.witnesses, now_ms=now_ms())


def _verified(wanted: Asked, path: Path | None, told: Callable[[Step], None]) -> tuple[str, tuple[Step, ...]]:
    if path is not None and not path.exists():
        raise Failed("log-missing", f"{path} is not there")
    if path is not None and wanted.config is not None:
        wanted.settings(path)
    if path is not None and is_view(path):
        with opened_folder(path) as folder:
            return "view", verify_view(folder, wanted.trust(), now_ms(), told=told).steps
    if path is not None and path.is_file():
        return "bundle", verify_bundle(path, _known(wanted), told=told)
    if path is not None and wanted.config is None and not (path / CHECKPOINT).is_file():
        raise Failed("log-missing", f"{path} holds no log: there is no checkpoint in it")
    with opened_log(wanted, path, told) as log:
        return "log", verify_log(log.folder, log.trust, log.around, told=told).steps
