"""`carnet restore`: the databases of a backup in place of those of a stopped connector."""

import asyncio
from pathlib import Path

import click

from connector.cli.config import config_option, read_settings
from connector.cli.databases import databases
from connector.cli.errors import Failed, stopped
from connector.cli.progress import beating, progress
from connector.store import backup as store_backup
from connector.store.engine import StoreUnavailable


@click.command(name="restore")
@config_option
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
def command(config: Path, folder: Path) -> None:
    """Put the databases that `carnet backup` wrote to FOLDER in place.

    Refused while a connector uses them. What was there is kept beside them, as NAME.replaced.
    """
    settings = read_settings(config)
    present = [database for database in databases(settings) if (folder / database.in_backup).exists()]
    if not present:
        expected = " or ".join(database.in_backup for database in databases(settings))
        raise Failed("no-backup", f"{folder} has no {expected}")
    for database in present:
        source = folder / database.in_backup
        try:
            with progress(f"Restoring the {database.name} database") as bar:
                newest = database.newest_schema()
                asyncio.run(beating(bar, store_backup.restore(source, database.where, newest_schema=newest)))
        except (store_backup.BackupError, StoreUnavailable) as error:
            raise stopped("restore-failed", f"{database.name}: {error}") from error
        click.echo(f"{database.name}: restored from {source}")
