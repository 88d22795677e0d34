"""The option `--config`, and settings or a clear end for the commands that need them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from connector.cli.errors import Failed
from connector.remedies import REMEDIES, parted
from connector.settings import Settings, SettingsError, load

DEFAULT = "carnet.toml"


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--config`, which falls back to CARNET_CONFIG and then to carnet.toml in the working directory."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="CARNET_CONFIG",
        default=DEFAULT,
        show_default=True,
        show_envvar=True,
        help="The settings file.",
    )(command)


def read_settings(config: Path) -> Settings:
    """The settings of that file and the environment; ends the command when they cannot be used."""
    try:
        return load(config, os.environ)
    except SettingsError as error:
        raise unusable(error, "" if str(config) in error.reason else f"{config}: ") from error


def unusable(error: SettingsError, about: str = "") -> Failed:
    """A setting that cannot be used, as the end of a command."""
    sentence, remedy = parted(error.code, error.reason)
    where = f"{error.path}: " if error.path else ""
    return Failed(error.code, f"{about}{where}{sentence}", remedy or REMEDIES["settings"])
