"""`carnet contracts`: the agreements that this connector holds, and who has signed them."""

import json
from pathlib import Path

import click

from connector.cli.channel import call, channel_options, moment, show
from connector.cli.columns import columns
from connector.cli.errors import Failed, written
from connector.cli.plain import plain_json


@click.group(name="contracts")
def command() -> None:
    """List and show agreements."""


@command.command(name="list")
@channel_options
def listed(config: Path, as_json: bool) -> None:
    """Every agreement, one a line."""
    agreements = call(config, lambda client: client.agreements())
    names = ("id", "state", "role", "counterparty", "dataset")
    cells = [
        (*(str(row[name]) for name in names), moment(row["createdAt"]), f"signed by {row['signed']['by']}") for row in agreements
    ]
    lines = columns(cells, shrink=(3, 4))
    show(agreements, lines or ["no agreement yet"], as_json=as_json)


@command.command(name="show")
@channel_options
@click.argument("agreement")
def shown(config: Path, as_json: bool, agreement: str) -> None:
    """One agreement with its terms."""
    found = call(config, lambda client: client.agreement(agreement))
    lines = [f"{key} {found[key]}" for key in ("id", "state", "role", "counterparty", "dataset", "negotiation")]
    lines.append(found["signed"]["sentence"])
    show(found, [*lines, *plain_json(found["document"], indent=2).split("\n")], as_json=as_json)


@command.command(name="signatures")
@channel_options
@click.argument("agreement")
@click.option("--counterparty", help="Whose, where two have agreements of the same id.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the signed document (JWS, JSON) there.")
def signatures(config: Path, as_json: bool, agreement: str, counterparty: str | None, out: Path | None) -> None:
    """Who has signed AGREEMENT, when and with which key; with --out the document that tools for signatures verify (JAdES)."""
    found = call(config, lambda client: client.signatures(agreement, counterparty))
    lines = [found["signed"]["sentence"]]
    lines += [
        f"{each['signedAt']}  {each['participant']}  {each['kid']}  {each['keyThumbprint']}" for each in found["signatures"]
    ]
    if found["disputed"] is not None:
        lines.append("disputed: the other side has signed other words under this id; they are in the JSON of this command")
    if out is not None:
        if found["jws"] is None:
            raise Failed("agreement-unsigned", "nobody has signed this agreement")
        try:
            out.write_text(json.dumps(found["jws"]) + "\n", encoding="utf-8")
        except OSError as error:
            raise written(error, f"{out} cannot be written") from error
        lines.append(f"written to {out}")
    show(found, lines, as_json=as_json)
