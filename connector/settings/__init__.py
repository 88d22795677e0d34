"""Everything that can be set, and nothing that is set elsewhere.

`load` reads one TOML file and then the environment (`CARNET_SECTION__KEY`), refuses what it does not know,
checks every bound and returns frozen structs. Nothing in this package logs, listens or creates a file; the
rest of the connector gets a `Settings` and never looks at the environment.

May import the errors of the protocol, the standard library and msgspec only.
"""

from connector.settings.load import load
from connector.settings.model import Settings
from connector.settings.secret import Secret, SettingsError, read_token

__all__ = ["Secret", "Settings", "SettingsError", "load", "read_token"]
