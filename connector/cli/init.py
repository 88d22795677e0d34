"""`carnet init`: the folder of a new connector, with its settings, tokens and keys, readable by the owner only."""

import json
import os
import secrets
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from connector.access.caller import Role
from connector.access.keys import new_key
from connector.cli.config import unusable
from connector.cli.errors import Failed
from connector.identity.keyfiles import make_keys
from connector.settings import SettingsError, load
from connector.settings.document import template
from connector.settings.model import DEVELOPMENT_KEY

TOKEN_BYTES = 32
KEY_FILE = "operator.key"
_PORT = click.IntRange(1, 65_533)
_PORTS_EACH = 3


@click.command(name="init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--participant-id", metavar="ID", help="Who you are, as peers name you: did:web:you.example")
@click.option(
    "--loopback",
    type=_PORT,
    metavar="PORT",
    help="For trying out: a connector of this machine alone, over plain http, on PORT and the next two (data, its own people).",
)
@click.option("--beside", type=_PORT, multiple=True, metavar="PORT", help="With --loopback: another such connector to talk to.")
@click.option("--set", "chosen", multiple=True, metavar="KEY=VALUE", help="A setting with its TOML value: protocol.port=8301")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def command(
    folder: Path,
    participant_id: str | None,
    loopback: int | None,
    beside: tuple[int, ...],
    chosen: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make FOLDER with a commented carnet.toml, the tokens and the keys of a new connector.

    Nothing that exists is changed: when one of the files is there already, nothing is written.
    """
    if (participant_id is None) == (loopback is None):
        raise click.UsageError("say who you are with --participant-id, or --loopback to try things out on this machine")
    if beside and loopback is None:
        raise click.UsageError("--beside goes with --loopback; peers elsewhere are found by their DID")
    if loopback is not None and any(abs(port - loopback) < _PORTS_EACH for port in beside):
        raise click.UsageError(f"each takes three ports: beside {loopback} there can be {loopback + _PORTS_EACH}")
    others = [place for port in beside for place in (f"localhost:{port}", f"127.0.0.1:{port + 1}")]
    settings, more = ({}, "") if loopback is None else on_loopback(loopback, loopback + 1, others)
    settings |= {"management.host": '"127.0.0.1"', "management.port": "8181" if loopback is None else str(loopback + 2)}
    for each in chosen:
        key, equals, value = each.partition("=")
        if not equals:
            raise click.BadParameter(f"write {key}=VALUE, VALUE as in a TOML file", param_hint="--set")
        settings[key.strip()] = value.strip()
    key = new_key("first operator", [Role.OPERATOR], now_ms=_now_ms(), by="owner").text
    us = participant_id or did_on_loopback(loopback or 0)
    written = make_house(folder, us, settings, more, {KEY_FILE: key + "\n"})
    if as_json:
        made = {"participantId": us, "settings": str(folder / "carnet.toml"), "folder": str(folder), "files": written, "key": key}
        click.echo(json.dumps(made, indent=2))
        return
    click.echo(f"Wrote {', '.join(written)} to {folder}.")
    click.echo(f"An operator's key for its management interface, which is also in {KEY_FILE}: {key}")
    if where := _people_at(folder):
        click.echo(f"Its interface as a page, once it runs: {where}/carnet/v1/docs (any name, the key as password)")
    if loopback is not None:
        click.echo(f"It is {did_on_loopback(loopback)}, for this machine alone: plain http, never for production.")
    click.echo(f"Next: read {folder / 'carnet.toml'}, then run: carnet doctor --config {folder / 'carnet.toml'}")


def _people_at(folder: Path) -> str:
    """Where its own people and programs find it; "" where they do not."""
    settings = load(folder / "carnet.toml", {}).management
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return settings.public_url or (f"http://{host}:{settings.port}" if settings.host and settings.port else "")


def did_on_loopback(port: int) -> str:
    """The DID of a connector of this machine: who resolves it comes to its own protocol listener."""
    return f"did:web:localhost%3A{port}"


def on_loopback(port: int, data_port: int, allowed: Iterable[str]) -> tuple[dict[str, str], str]:
    """Settings, and the end of the settings file, of a connector of this machine alone, that may call ``allowed`` (host:port)."""
    settings = {
        "protocol.port": str(port),
        "protocol.public_url": json.dumps(f"http://localhost:{port}"),
        "data.signaling_port": "0",
        "data.public_port": str(data_port),
        "client.allow": json.dumps(list(allowed)),
    }
    return settings, f'\n[development]\nkey = "{DEVELOPMENT_KEY}"\nhttp_dids = true\n'


def make_house(
    folder: Path, participant_id: str, settings: Mapping[str, str], more: str = "", beside: Mapping[str, str] | None = None
) -> list[str]:
    """Write settings, tokens and keys of a new connector; gives the names of the files, and of the folder of keys.

    `settings` maps `section.key` to a TOML value; `more` is put at the end of the settings file; `beside` are other files, by
    name. Ends the command, and leaves no file, when one exists already or the settings cannot be used.
    """
    written: list[Path] = []
    try:
        contents = {"carnet.toml": template(participant_id, settings) + more}
        contents |= {name: secrets.token_urlsafe(TOKEN_BYTES) + "\n" for name in ("local.token", "data.token")}
        contents |= beside or {}
        existing = [name for name in contents if os.path.lexists(folder / name)]
        if existing:
            raise Failed("file-exists", f"{folder / existing[0]} exists already", "choose another folder or remove it")
        _make_folder(folder)
        for name, content in contents.items():
            write_private(folder / name, content)
            written.append(folder / name)
        made = load(folder / "carnet.toml", {})
        make_keys(made.keys.dir, made.participant_id, _now_ms())
    except (OSError, SettingsError) as error:
        for path in written:
            path.unlink()
        if isinstance(error, SettingsError):
            raise unusable(error) from error
        raise Failed("file-failed", f"cannot write {folder}: {error.strerror}") from error
    return [*contents, os.path.relpath(made.keys.dir, folder)]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        if folder.stat().st_mode & 0o077:
            raise Failed("folder-exposed", f"{folder} may be read by others", f"run: chmod 700 {folder}")
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)


def write_private(path: Path, content: str) -> None:
    """A new file of the owner alone. Raises OSError, also when it exists."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(content)
