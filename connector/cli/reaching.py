"""Which connector a command speaks to: that of the settings, on its owner's channel; or one elsewhere, by its address and a key.

A key is never an argument, for arguments stand in the list of processes and in the shell's history. The program itself imports
this: it may import click and the errors of the command line.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from connector.cli.errors import Failed

KEY: Final = "CARNET_KEY"
MAX_KEY_BYTES: Final = 16_384
HERE: Final = frozenset({"demo", "init", "serve", "doctor", "keys", "audit", "backup", "restore", "completion"})
"""Commands that work on files of this machine and speak to no connector elsewhere."""


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--url`, `--key-file` and `--ca-file` to the whole program."""
    file = click.Path(path_type=Path, exists=True, dir_okay=False)
    for option in (
        click.option(
            "--ca-file",
            type=file,
            envvar="CARNET_CA_FILE",
            show_envvar=True,
            help="With --url: certificates of authorities beside those of the system.",
        ),
        click.option("--key-file", type=file, help=f"With --url: a file with an API key or access token; else {KEY} has it."),
        click.option(
            "--url",
            envvar="CARNET_URL",
            show_envvar=True,
            metavar="URL",
            help="Speak to the management listener there, such as https://carnet.example.com:8181, and not to the connector"
            " of the settings.",
        ),
    ):
        command = option(command)
    return command


def check_place(context: click.Context) -> None:
    """Ends the command if it was told to speak to a connector elsewhere and cannot."""
    if context.invoked_subcommand in HERE and context.get_parameter_source("url") is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError(f"carnet {context.invoked_subcommand} works on files of this machine; leave --url out")
    if not elsewhere() and context.params.get("key_file"):
        raise click.UsageError("--key-file goes with --url")


def elsewhere() -> bool:
    """Whether the command speaks to a connector elsewhere."""
    return bool(_given().get("url"))


@dataclass(frozen=True, slots=True)
class Place:
    """A management listener: where it is, what we show there, and whom we believe that it is it."""

    url: str
    key: str
    ca_file: Path | None


def place() -> Place | None:
    """The connector elsewhere that is meant; None: that of the settings. Ends the command if there is no key."""
    given = _given()
    if not given.get("url"):
        return None
    return Place(given["url"], _key(given.get("key_file")), given.get("ca_file"))


def _given() -> dict[str, Any]:
    context = click.get_current_context(silent=True)
    return {} if context is None else context.find_root().params


def _key(file: Path | None) -> str:
    if file is None:
        key = os.environ.get(KEY, "").strip()
        if not key:
            raise Failed("key-missing", f"a connector elsewhere asks for a key, and {KEY} has none")
        return key
    with file.open("rb") as opened:
        found = opened.read(MAX_KEY_BYTES + 1).strip()
    if not found or len(found) > MAX_KEY_BYTES or not found.isascii() or any(sign <= 0x20 for sign in found):
        raise Failed("key-missing", f"{file} has no key in it")
    return found.decode("ascii")
