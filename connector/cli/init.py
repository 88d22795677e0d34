"""`carnet init`: the folder of a new connector, with its settings and tokens, readable by the owner only."""

import os
import secrets
from pathlib import Path

import click

from connector.settings import SettingsError, load
from connector.settings.document import template

_TOKEN_BYTES = 32


@click.command(name="init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--participant-id", required=True, metavar="ID", help="Who you are, as peers name you: did:web:you.example")
def command(folder: Path, participant_id: str) -> None:
    """Make FOLDER with a commented carnet.toml and the tokens of a new connector.

    Nothing that exists is changed: when one of the files is there already, nothing is written.
    """
    settings = template(participant_id)
    contents = {"carnet.toml": settings}
    contents |= {name: secrets.token_urlsafe(_TOKEN_BYTES) + "\n" for name in ("local.token", "data.token")}
    existing = [name for name in contents if os.path.lexists(folder / name)]
    if existing:
        raise click.ClickException(f"{folder / existing[0]} exists already; choose another folder or remove it")
    written: list[Path] = []
    try:
        _make_folder(folder)
        for name, content in contents.items():
            _write(folder / name, content)
            written.append(folder / name)
        load(folder / "carnet.toml", {})
    except (OSError, SettingsError) as error:
        for path in written:
            path.unlink()
        reason = f"cannot write {folder}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise click.ClickException(reason) from error
    click.echo(f"Wrote {', '.join(contents)} to {folder}.")
    click.echo(f"Next: read {folder / 'carnet.toml'}, then run: carnet doctor --config {folder / 'carnet.toml'}")


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        if folder.stat().st_mode & 0o077:
            raise click.ClickException(f"{folder} may be read by others; run: chmod 700 {folder}")
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)


def _write(path: Path, content: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(content)
