"""`carnet backup`: consistent copies of the databases and of the contract log, also of a connector that runs.

SQLite files are opened read-only and copied by SQLite's own online backup, which does not disturb the writer.
Each copy is one moment of its database; the two moments differ by the time of the first copy, which is safe
because what passes between the processes is delivered again after a restore.
"""

import asyncio
from pathlib import Path

import click

from connector.cli.channel import channel_options, show
from connector.cli.config import read_settings
from connector.cli.databases import databases
from connector.cli.errors import Failed, stopped
from connector.cli.progress import beating, progress
from connector.client.local import Document
from connector.log.copying import IN_BACKUP, copy_log
from connector.protocol.errors import CarnetError
from connector.store import backup as store_backup


@click.command(name="backup")
@channel_options
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def command(config: Path, as_json: bool, folder: Path) -> None:
    """Copy the databases and the contract log into the new FOLDER, readable by the owner only.

    Settings, tokens, keys and received data are not part of it. The keys of subjects are: what is erased later can be read with
    them until this copy is deleted, too.
    """
    settings = read_settings(config)
    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        code = "file-exists" if isinstance(error, FileExistsError) else "file-failed"
        raise Failed(code, f"cannot make the new folder {folder}: {error.strerror}") from error
    copied: list[Document] = []
    lines: list[str] = []
    for database in databases(settings):
        if isinstance(database.where, Path) and not database.where.exists():
            lines.append(f"{database.name}: nothing to copy, {database.where} does not exist")
            continue
        try:
            with progress(f"Copying the {database.name} database") as bar:
                asyncio.run(beating(bar, store_backup.backup(database.where, folder / database.in_backup)))
        except store_backup.BackupError as error:
            raise stopped("backup-failed", f"{database.name}: {error}") from error
        copied.append({"name": database.name, "file": str(folder / database.in_backup)})
        lines.append(f"{database.name}: {folder / database.in_backup}")
    # After the databases: a log that is newer than its database is right, an older one is refused.
    try:
        with progress("Copying the contract log") as bar:
            size = asyncio.run(beating(bar, asyncio.to_thread(copy_log, settings.log.folder, folder / IN_BACKUP)))
    except (store_backup.BackupError, CarnetError) as error:
        raise stopped("backup-failed", f"contract log: {error}") from error
    if size is not None:
        copied.append({"name": "contract log", "file": str(folder / IN_BACKUP), "leaves": size})
        lines.append(f"contract log: {folder / IN_BACKUP}, {size} leaves")
    show(copied, lines, as_json=as_json)
