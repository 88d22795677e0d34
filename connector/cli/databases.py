"""Which databases a connector has, as the commands for backup, restore and diagnosis see them."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from connector.settings import Settings
from connector.store import migrate

PACKAGE = Path(__file__).resolve().parents[1]
CONTROL_MIGRATIONS = PACKAGE / "store" / "migrations"
DATA_MIGRATIONS = PACKAGE / "dataplane" / "migrations"


class Database(NamedTuple):
    """One database: what it is called, where it is (a file or a PostgreSQL address) and its migrations."""

    name: str
    where: Path | str
    migrations: Path

    @property
    def in_backup(self) -> str:
        """The name of its file in a backup."""
        return f"{self.name}.db" if isinstance(self.where, Path) else f"{self.name}.dump"

    @property
    def shown(self) -> str:
        """For messages: the file, or only that it is PostgreSQL, for an address may carry a password."""
        return str(self.where) if isinstance(self.where, Path) else "the PostgreSQL database of [store] url"

    def newest_schema(self) -> int:
        """The highest migration that this version knows."""
        return len(migrate.load(self.migrations))


def databases(settings: Settings) -> Iterator[Database]:
    """The control database, then that of the data plane."""
    control = settings.control_database
    yield Database("control", settings.store.url if control is None else control, CONTROL_MIGRATIONS)
    yield Database("data", settings.data.database, DATA_MIGRATIONS)
