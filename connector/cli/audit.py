"""`carnet audit`: verify logs, bundles and views offline, ask them, and hand out what an auditor needs.

Each sub-command lives in a module of its own, imported when it is called.
"""

from __future__ import annotations

import importlib
from typing import Final

import click

# name: (module, one line of help); the module has a click command called `command`
COMMANDS: Final = {
    "verify": ("connector.cli.audit_verify", "Verify a log, bundle or view, step by step."),
    "query": ("connector.cli.audit_query", "Ask a verified log."),
    "export": ("connector.cli.audit_export", "Hand out the evidence of an agreement, or a view of the log."),
    "pack": ("connector.cli.audit_pack", "Write the registers that an authority asks for."),
}


class _Parts(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name][0]}.command is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(name="audit", cls=_Parts)
def command() -> None:
    """Verify logs, bundles and views offline, ask them, and hand out what an auditor needs.

    Nothing here needs a running connector or its database: what is answered comes from the log, after the log was verified.
    """
