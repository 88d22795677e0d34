"""`carnet serve`: run a connector until SIGTERM or SIGINT, then drain."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import click

from connector.app import serve
from connector.cli.config import config_option, unusable
from connector.cli.errors import Failed, failed, stopped
from connector.dataplane.__main__ import stop_at_end_of_stdin
from connector.protocol.errors import CarnetError
from connector.settings import Settings, SettingsError, load
from connector.store.engine import StoreUnavailable
from connector.store.migrate import MigrationError
from connector.telemetry import configure_logging, configure_tracing
from connector.terms import TermsInvalid, load_terms


@click.command(name="serve")
@config_option
@click.option("--exit-with-stdin", is_flag=True, help="Stop at the end of standard input, too: when the parent process ends.")
def command(config: Path, exit_with_stdin: bool) -> None:
    """Run the connector of the settings file until it is told to stop (SIGTERM, SIGINT)."""
    try:
        settings = load(config, os.environ)
        load_terms()
        configure_logging(settings.logging)
        configure_tracing(settings.telemetry)
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.umask(0o077)
        asyncio.run(_until_told(settings, exit_with_stdin=exit_with_stdin))
    except SettingsError as error:
        raise unusable(error, f"{config}: ") from error
    except CarnetError as error:
        raise failed(error) from error
    except StoreUnavailable as error:
        raise stopped("store-unavailable", str(error)) from error
    except MigrationError as error:
        raise stopped("schema-invalid", str(error)) from error
    except TermsInvalid as error:
        raise stopped("terms-invalid", str(error)) from error
    except OSError as error:
        raise Failed("listen-failed", f"cannot listen or write: {error.strerror or error}") from error


async def _until_told(settings: Settings, *, exit_with_stdin: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if exit_with_stdin:
        stop_at_end_of_stdin(loop, stop)
    await serve(settings, stop)
