"""`carnet transfer`: fetch the data of an agreement through our data plane, and say what came."""

import re
from datetime import UTC, datetime
from pathlib import Path

import click

from connector.cli.channel import FINAL, Progress, about, call, channel_options, finish, show, wait_option
from connector.cli.config import read_settings
from connector.client.local import Document, LocalClient

MAX_NAME = 100


@click.command(name="transfer")
@channel_options
@wait_option
@click.argument("agreement")
@click.option("--to", "sink", metavar="NAME", help="File name below data.sink_dir; dataset and time if left out.")
@click.option("--no-fetch", is_flag=True, help="Fetch nothing; print address and token once the transfer has started.")
@click.option("--counterparty", help="The provider, should two have chosen the same agreement id.")
@click.option("--address", help="One of its addresses in [[peers]]; the first one if left out.")
def command(
    config: Path,
    as_json: bool,
    wait_s: int,
    agreement: str,
    sink: str | None,
    no_fetch: bool,
    counterparty: str | None,
    address: str | None,
) -> None:
    """Transfer the data of AGREEMENT and wait until they are here. Ends with 1 if they are not."""
    progress = Progress()
    goal = "STARTED" if no_fetch else "COMPLETED"

    async def transfer(client: LocalClient) -> tuple[Document, Document | None]:
        name = None if no_fetch else sink or file_name(str((await client.agreement(agreement))["dataset"]))
        begun = await client.transfer(agreement, sink=name, counterparty=counterparty, address=address)
        if not wait_s:
            return begun, None
        process = await client.wait(begun["id"], lambda now: now["state"] in FINAL | {goal, "SUSPENDED"}, wait_s, progress)
        started = no_fetch and process["state"] == "STARTED"
        return process, await client.data_address(process["id"]) if started else None

    process, data_address = call(config, transfer)
    progress.end()
    file = None if process.get("sink") is None else read_settings(config).data.sink_dir / process["sink"]
    show(
        {**process, "file": file and str(file), "dataAddress": data_address}, _lines(process, file, data_address), as_json=as_json
    )
    finish(process, good=not wait_s or process["state"] == goal)


def _lines(process: Document, file: Path | None, data_address: Document | None) -> list[str]:
    lines = about(process)
    if data_address is not None:
        lines.append(f"  from {data_address.get('endpoint')}")
        lines += [f"  {item['name']}: {item['value']}" for item in data_address.get("endpointProperties", [])]
    if file is not None and process["state"] == "COMPLETED":
        lines.append(f"  file {file}")
    return lines


def file_name(dataset: str) -> str:
    """A name that the data plane takes: what is plain in the dataset's id, and the time of now."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", dataset).strip("-")[-MAX_NAME:] or "data"
    return f"{plain}.{datetime.now(UTC).strftime('%Y%m%dT%H%M%S%f')}"
