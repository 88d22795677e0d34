"""`carnet audit export`: the evidence of an agreement as a bundle, or a view of the log for an auditor."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from connector.audit.asking import Log
from connector.audit.view import MAX_DAYS, MAX_NAME_CHARS, Signs, Wish, export_view
from connector.cli.audit_bundle import exported
from connector.cli.audit_source import asked, audit_options, key_ring, now_ms, opened_log, proven, scope_of, scope_options
from connector.cli.channel import show
from connector.cli.config import DEFAULT
from connector.identity.keys import Use
from connector.settings import Settings

_path = click.Path(path_type=Path)
DAYS: Final = 14


@click.command(name="export")
@audit_options
@scope_options
@click.option("--view", type=_path, metavar="OUT", help="Write a view of the log: a new folder, or a zip if it ends with .zip.")
@click.option("--for", "auditor", metavar="NAME", help="View: for whom.")
@click.option("--days", type=click.IntRange(1, MAX_DAYS), default=DAYS, show_default=True, help="View: how long it can be read.")
@click.argument("bundle", required=False, metavar="[AGREEMENT")
@click.argument("out", required=False, type=_path, metavar="OUT]")
def command(
    bundle: str | None, view: Path | None, auditor: str | None, days: int, out: Path | None, as_json: bool, **given: Any
) -> None:
    """Write the evidence bundle of AGREEMENT into the new file OUT, or with --view a view of the log for an auditor.

    A view proves the whole log and opens the payloads of its scope alone (--party, --agreement, --asset, --from, --until), for a
    time. It is signed with the connector's key for agreements, so that it needs the settings.
    """
    wanted = asked(given)
    settings = wanted.settings(None)
    if (view is None) == (bundle is None):
        raise click.UsageError("name an agreement, or a view with --view")
    if settings is None:
        raise click.UsageError("the settings of the connector are needed")
    if view is None:
        exported(bundle, out, wanted.config or Path(DEFAULT), as_json, given["party"] or None)
        return
    if not auditor or len(auditor) > MAX_NAME_CHARS or not auditor.isprintable():
        raise click.UsageError(f"--for names the auditor in at most {MAX_NAME_CHARS} characters")
    wish = Wish(auditor, days, scope_of(given), now_ms())
    with proven(), opened_log(wanted, None) as log:
        manifest = _exported(log, wish, settings, view)
    lines = [f"{view}: a view for {auditor} until {manifest['validUntil']}, {manifest['payloads']} payloads can be opened"]
    show(manifest, lines, as_json=as_json)


def _exported(log: Log, wish: Wish, settings: Settings, out: Path) -> dict[str, Any]:
    key = key_ring(settings).signing(Use.AGREEMENT)
    participant = settings.participant_id
    kid = f"{participant}#{key.kid}" if participant.startswith("did:") else key.kid
    return export_view(log, wish, Signs(participant, key, kid), out)
