"""`carnet access`: who may use the management interface of a connector: API keys, made, listed and revoked."""

from __future__ import annotations

import time
from pathlib import Path

import click

from connector.access.caller import Role
from connector.cli.channel import call, channel_options, moment, show
from connector.cli.columns import columns
from connector.client.local import Document, LocalClient

DAY_MS = 86_400_000


@click.group(name="access")
def command() -> None:
    """Make, list and revoke keys of the management interface."""


@command.command(name="add")
@channel_options
@click.argument("name")
@click.option("--role", "roles", multiple=True, required=True, type=click.Choice(list(map(str, Role))), help="What it may do.")
@click.option("--days", type=click.IntRange(1, 3650), help="How long it is good; without it until it is revoked.")
@click.option("--vehicle", type=click.IntRange(0), metavar="NUMBER", help="A driver's vehicle: the consent ledger's own number.")
@click.option(
    "--person", metavar="WHO", help="Who is behind it: all keys of one person approve once. Without it: nobody's but its own."
)
def add(
    config: Path, as_json: bool, name: str, roles: tuple[str, ...], days: int | None, vehicle: int | None, person: str | None
) -> None:
    """Make a key for NAME (whose it is). It is shown once: nobody can be told it again."""
    end = None if days is None else time.time_ns() // 1_000_000 + days * DAY_MS
    more = {"vehicle": vehicle, "expiresAt": end, "person": person}

    async def make(client: LocalClient) -> Document:
        return await client.make_api_key(name, list(dict.fromkeys(roles)), **more)

    made = call(config, make)
    said = "keep it where nobody else reads: it is not kept here; it goes into the header X-Api-Key, or into CARNET_KEY"
    show(made, [made["key"], said], as_json=as_json)


@command.command(name="list")
@channel_options
def listed(config: Path, as_json: bool) -> None:
    """Keys with their roles, state and end, one a line."""

    async def read(client: LocalClient) -> list[Document]:
        return await client.api_keys()

    keys = call(config, read)
    show(keys, columns([_cells(row) for row in keys], shrink=(1,)) or ["no key; make one: carnet access add"], as_json=as_json)


@command.command(name="revoke")
@channel_options
@click.argument("key")
def revoke(config: Path, as_json: bool, key: str) -> None:
    """End the key of this id (the part after `carnet_`), and tokens that were given for it, at once."""

    async def end(client: LocalClient) -> None:
        await client.revoke_api_key(key)

    call(config, end)
    show({"id": key, "done": "revoked"}, [f"{key} opens nothing any more"], as_json=as_json)


def _cells(row: Document) -> tuple[str, ...]:
    end = row["revokedAt"] or row["expiresAt"]
    person = "" if row["person"] == f"key:{row['id']}" else f"counts as {row['person']}"
    return row["id"], row["name"], ", ".join(row["roles"]), row["state"], f"since {moment(row['createdAt'])}", _until(end), person


def _until(end: int | None) -> str:
    return "-" if end is None else f"until {moment(end)}"
