"""`carnet restore`: the databases of a backup in place of those of a stopped connector."""

import asyncio
from pathlib import Path

import click

from connector.cli.channel import channel_options, show
from connector.cli.config import read_settings
from connector.cli.databases import databases
from connector.cli.errors import Failed, stopped
from connector.cli.progress import beating, progress
from connector.client.local import Document
from connector.log.copying import IN_BACKUP, restore_log
from connector.protocol.errors import CarnetError
from connector.store import backup as store_backup
from connector.store.engine import StoreUnavailable


@click.command(name="restore")
@channel_options
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
def command(config: Path, as_json: bool, folder: Path) -> None:
    """Put the databases that `carnet backup` wrote to FOLDER in place.

    Refused while a connector uses them. What was there is kept beside them, as NAME.replaced. The contract log is only put back
    where there is none, or a shorter one: it never becomes older.
    """
    settings = read_settings(config)
    present = [database for database in databases(settings) if (folder / database.in_backup).exists()]
    if not present:
        expected = " or ".join(database.in_backup for database in databases(settings))
        raise Failed("no-backup", f"{folder} has no {expected}")
    restored: list[Document] = []
    lines: list[str] = []
    for database in present:
        source = folder / database.in_backup
        try:
            with progress(f"Restoring the {database.name} database") as bar:
                newest = database.newest_schema()
                asyncio.run(beating(bar, store_backup.restore(source, database.where, newest_schema=newest)))
        except (store_backup.BackupError, StoreUnavailable) as error:
            raise stopped("restore-failed", f"{database.name}: {error}") from error
        restored.append({"name": database.name, "from": str(source)})
        lines.append(f"{database.name}: restored from {source}")
    if (folder / IN_BACKUP).is_dir():
        try:
            put_back = restore_log(folder / IN_BACKUP, settings.log.folder)
        except (store_backup.BackupError, CarnetError) as error:
            raise stopped("restore-failed", f"contract log: {error}") from error
        stays = "the one that is there is as long or longer, and stays"
        restored += [{"name": "contract log", "from": str(folder / IN_BACKUP)}] if put_back else []
        lines.append(f"contract log: {f'restored from {folder / IN_BACKUP}' if put_back else stays}")
    show(restored, lines, as_json=as_json)
