"""`carnet keys`: our keys, their rotation and revocation, and the DID document that shows them to others.

Works on the key files, whether a connector runs or not; one that runs is told to read them again. Nothing private is ever shown.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from connector.cli.channel import channel_options, moment, show
from connector.cli.config import config_option, read_settings
from connector.cli.errors import Failed, failed
from connector.cli.reach import listens
from connector.client.local import once
from connector.identity import keyfiles
from connector.identity.did import METHOD, document_url, own_document
from connector.identity.keys import KeyRing, Use
from connector.protocol.errors import CarnetError
from connector.settings import Settings

Row = dict[str, Any]


@click.group(name="keys")
def command() -> None:
    """List, rotate and revoke keys; print the DID document."""


@command.command(name="list")
@channel_options
def listed(config: Path, as_json: bool) -> None:
    """Every key that this connector has or had: use, id, thumbprint, state, since when, and until when it is published."""
    settings = read_settings(config)
    with _ended():
        rows = list(_load(settings).listing())
    show(rows, [_line(row) for row in rows], as_json=as_json)


@command.command(name="rotate")
@channel_options
@click.argument("uses", nargs=-1, type=click.Choice([use.value for use in Use]), metavar="[USE]...")
def rotate(config: Path, as_json: bool, uses: tuple[str, ...]) -> None:
    """Make new keys for each USE (oauth, agreement, log, subjects, pseudonyms); the old ones stay published for keys.overlap_h.

    Keys that are missing are made, too, and without USE only those.
    """
    settings = read_settings(config)
    for use in map(Use, uses):
        if os.environ.get(keyfiles.variable(use)):
            raise Failed("key-from-environment", f"the key for {use} comes from {keyfiles.variable(use)}")
    now_ms = _now_ms()
    with _ended():
        ring = keyfiles.ensure_keys(settings.keys.dir, settings.participant_id, os.environ, settings.keys.overlap_h, now_ms)
        made = [row["kid"] for row in ring.listing() if row["since"] == now_ms]
        new = {row["use"] for row in ring.listing() if row["kid"] in made}
        made += [keyfiles.rotate(settings.keys.dir, use, now_ms).kid for use in map(Use, dict.fromkeys(uses)) if use not in new]
        if not made:
            raise click.UsageError(f"no key is missing; name what to rotate: {', '.join(Use)}")
        rows = [row for row in _load(settings).listing() if row["kid"] in made]
    _changed(settings, rows, ["made:", *(_line(row) for row in rows)], as_json=as_json)


@command.command(name="revoke")
@channel_options
@click.argument("kid")
@click.option("--reason", required=True, help="Why it is not to be believed any more; goes into old evidence.")
def revoke(config: Path, as_json: bool, kid: str, reason: str) -> None:
    """Take the key KID out of everything that is published, at once. The current key gets a successor."""
    settings = read_settings(config)
    with _ended():
        made = keyfiles.revoke(settings.keys.dir, kid, _now_ms(), reason)
        changed = {kid} | ({made.kid} if made else set())
        rows = [row for row in _load(settings).listing() if row["kid"] in changed]
    _changed(settings, rows, [_line(row) for row in rows], as_json=as_json)


@command.command(name="did")
@config_option
def did(config: Path) -> None:
    """Print the DID document, to be hosted elsewhere when peers do not find this connector itself under its participant id."""
    settings = read_settings(config)
    if not settings.participant_id.startswith("did:"):
        raise Failed("did-missing", "participant_id is no DID, so that it has no document")
    with _ended():
        published = _load(settings).published(_now_ms())
        document = own_document(settings.participant_id, published, _origin(settings), settings.protocol.base_path)
        if settings.participant_id.startswith(METHOD):
            url = document_url(settings.participant_id, http_loopback=settings.development.http_dids)
            click.echo(f"Peers look for it at {url}", err=True)
    click.echo(json.dumps(document, indent=2))


def _load(settings: Settings) -> KeyRing:
    return keyfiles.load_keys(settings.keys.dir, os.environ, settings.keys.overlap_h)


def _origin(settings: Settings) -> str:
    protocol = settings.protocol
    if protocol.public_url:
        return protocol.public_url
    if not protocol.port:
        raise Failed("place-unknown", "nobody knows yet where this connector will be")
    host = f"[{protocol.host}]" if ":" in protocol.host else protocol.host
    return f"{'http' if protocol.tls_certificate is None else 'https'}://{host}:{protocol.port}"


def _changed(settings: Settings, rows: Sequence[Row], lines: Sequence[str], *, as_json: bool) -> None:
    """Say what was changed, and have a connector that runs read it. Ends the command with 1 if it could not."""
    runs, wrong = listens(settings) is not None, None
    if runs:
        try:
            once(settings, lambda client: client.reload_keys())
        except CarnetError as error:
            wrong = error
    after = "the running connector uses them" if runs else "no connector runs; the next start uses them"
    show({"keys": rows, "running": runs, "reloaded": runs and not wrong}, lines if wrong else [*lines, after], as_json=as_json)
    if wrong is not None:
        reason = f"the keys are changed, yet the running connector did not read them: {wrong.reason} ({wrong.code})"
        raise Failed("keys-not-reloaded", reason)


def _line(row: Row) -> str:
    since = moment(row["since"]) if row["since"] else "-"
    until = moment(row["until"]) if row["until"] else "-"
    more = f"  {row['reason']}" if row["reason"] else ""
    return f"{row['use']:10}  {row['kid']}  {row['thumbprint'] or '-':43}  {row['state']:7}  since {since}  until {until}{more}"


@contextmanager
def _ended() -> Iterator[None]:
    """What the connector's own errors say ends the command."""
    try:
        yield
    except CarnetError as error:
        raise failed(error) from error


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
