"""The command `carnet`: which sub-commands there are, and where each lives.

A sub-command's module is imported when it is called, so that `carnet --version` and `--help` stay quick.
"""

import importlib
import io
import sys
from collections.abc import Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from connector.cli.errors import EXITS, ended
from connector.cli.reaching import check_place, place_options

# name: (module, one line of help); the module has a click command of that name after a colon, or called `command`
COMMANDS = {
    "demo": ("connector.cli.demo", "Play the main job between four connectors on this machine."),
    "init": ("connector.cli.init", "Make the folder, settings and tokens of a new connector."),
    "serve": ("connector.cli.serve", "Run a connector until it is told to stop."),
    "doctor": ("connector.cli.doctor", "Say what is not in order, and what to do about it."),
    "publish": ("connector.cli.publish", "Offer a file as a dataset."),
    "explain": ("connector.cli.explain", "Say what an offer or agreement means and how its terms are kept."),
    "simulate": ("connector.cli.simulate", "Say what a participant would get of an offer, and why not."),
    "browse": ("connector.cli.browse", "List what a peer offers, or what we offer."),
    "negotiate": ("connector.cli.negotiate", "Ask a peer for a contract."),
    "approvals": ("connector.cli.approvals", "List and show what waits for people."),
    "approve": ("connector.cli.approvals:approve", "Say yes to what waits for a person."),
    "reject": ("connector.cli.approvals:reject", "Say no to what waits for a person."),
    "counter": ("connector.cli.approvals:counter", "Answer what waits for a person with other terms."),
    "transfer": ("connector.cli.transfer", "Fetch the data of an agreement."),
    "contracts": ("connector.cli.contracts", "List and show agreements."),
    "processes": ("connector.cli.processes", "List, show and move negotiations and transfers."),
    "peers": ("connector.cli.peers", "Write participants down, admit, suspend and expel them."),
    "consents": ("connector.cli.consents", "List, grant, withdraw and import consents."),
    "requests": ("connector.cli.requests", "Record and withdraw what users of vehicles ask for."),
    "enrol": ("connector.cli.enrol", "Note under which reference a buyer knows a vehicle."),
    "subject": ("connector.cli.subject", "Export and erase what is known of a vehicle or participant."),
    "access": ("connector.cli.access", "Make, list and revoke keys of the management interface."),
    "keys": ("connector.cli.keys", "List, rotate and revoke keys; print the DID document."),
    "receipts": ("connector.cli.receipts", "List what was delivered, as both sides have signed it."),
    "statement": ("connector.cli.statement", "Say what is owed under an agreement."),
    "duties": ("connector.cli.duties", "List what has to be erased, and what came of it."),
    "audit": ("connector.cli.audit", "Verify and ask the contract log; hand out evidence."),
    "letters": ("connector.cli.letters", "List dead letters, send them again or give them up."),
    "hello": ("connector.cli.hello", "Greet a peer and show what it can do."),
    "backup": ("connector.cli.backup", "Copy the databases of a connector, also while it runs."),
    "restore": ("connector.cli.restore", "Put a backup in place of the databases of a stopped connector."),
    "completion": ("connector.cli.completion", "Print what makes a shell complete commands."),
}


_ENDS = "It ends with " + "; ".join(f"{code}: {what}" for code, what in EXITS.items()) + "."


class LazyGroup(click.Group):
    """A group that knows the names and help lines of its commands without importing them."""

    def main(  # type: ignore[override]  # click's overloads say only that it does not return when it stands alone
        self, args: Sequence[str] | None = None, prog_name: str | None = None, *, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        """As click's, but whatever stops a command is said in the one shape of `connector.cli.errors`."""
        words = list(sys.argv[1:] if args is None else args)
        if not standalone_mode:
            return super().main(words, prog_name, standalone_mode=False, **extra)
        sys.exit(ended(lambda: super(LazyGroup, self).main(words, prog_name, standalone_mode=False, **extra), words))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), name or "command")
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{name} is not a command")
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names of commands with their help lines, none of which is imported for it; options as of any command."""
        known = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]
        return known if known and not incomplete.startswith("-") else super().shell_complete(ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in the help, from `COMMANDS` alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(name="carnet", cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_ENDS)
@place_options
@click.version_option(package_name="carnet", prog_name="carnet")
@click.pass_context
def cli(ctx: click.Context, /, **_: object) -> None:
    """A data-space connector for vehicle data."""
    check_place(ctx)


def main() -> None:
    """The console script: ends the process with one of `connector.cli.errors.EXITS`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that has no letter for it gets its number, not an error
    cli(prog_name="carnet")
