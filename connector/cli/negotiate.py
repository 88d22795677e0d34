"""`carnet negotiate`: ask for a contract on an offer, as published or with other terms, and wait for its end."""

from pathlib import Path

import click

from connector.cli.channel import FINAL, States, about, call, channel_options, finish, show, wait_option
from connector.cli.errors import Failed
from connector.cli.publish import read_terms
from connector.cli.simulate import chosen_purpose
from connector.client.local import Document, LocalClient
from policies import dsp
from policies.errors import PolicyInvalid
from policies.narrowing import for_purpose


@click.command(name="negotiate")
@channel_options
@wait_option
@click.argument("counterparty")
@click.argument("dataset")
@click.option("--offer", "offer_id", help="Id of the offer; needed if the dataset has several.")
@click.option(
    "--terms",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="JSON file: what is to be different from the published offer (permission, prohibition, obligation; [] for none).",
)
@click.option(
    "--purpose", metavar="TERM", help="What the data are for, such as MobilityPlanning: asks for the offer narrowed to it."
)
@click.option("--as-provider", is_flag=True, help="Offer COUNTERPARTY our own DATASET instead.")
@click.option("--address", help="One of its addresses in [[peers]]; the first one if left out.")
def command(
    config: Path,
    as_json: bool,
    wait_s: int,
    counterparty: str,
    dataset: str,
    offer_id: str | None,
    terms: Path | None,
    purpose: str | None,
    as_provider: bool,
    address: str | None,
) -> None:
    """Negotiate with COUNTERPARTY about DATASET of its catalogue.

    Waits until the negotiation has ended or needs a decision of ours. Ends with 1 if it came to neither, or to no contract.
    """
    changes = {} if terms is None else read_terms(terms)
    iri = None if purpose is None else chosen_purpose(purpose)
    states = States()

    async def negotiate(client: LocalClient) -> Document:
        if as_provider:
            offer = {"@id": offer_id} if offer_id else {}
            begun = await client.negotiate(counterparty, dataset, offer, role="provider", address=address)
        else:
            found = await client.dataset(counterparty, dataset, address)
            offer = changed(choose(found, offer_id), changes)
            offer = offer if iri is None else narrowed(offer, iri)
            begun = await client.negotiate(counterparty, dataset, offer, address=address)
        return await client.wait(begun["id"], settled, wait_s, states) if wait_s else begun

    try:
        process = call(config, negotiate, goes_on=states.goes_on)
    finally:
        states.end()
    show(process, about(process), as_json=as_json)
    finish(process, good=not wait_s or process["state"] == "FINALIZED" or bool(process.get("pending")))


def changed(offer: Document, changes: Document) -> Document:
    """The offer with other members in place of its own; an empty one is left out, as DSP has no empty lists."""
    return {name: value for name, value in {**offer, **changes}.items() if value not in ([], {}, None)}


def narrowed(offer: Document, purpose: str) -> Document:
    """The offer for one purpose; ends the command where it permits nothing for that, or cannot be read."""
    try:
        found = for_purpose(dsp.read(offer), purpose)
    except PolicyInvalid as invalid:
        raise Failed("policy-invalid", f"the offer cannot be narrowed: {invalid}") from invalid
    if found is None:
        raise Failed("purpose-none", f"the offer permits nothing for the purpose {purpose}")
    return {**offer, "permission": dsp.write(found)["permission"]}


def settled(process: Document) -> bool:
    """Whether nothing more happens without us."""
    return process["state"] in FINAL or bool(process.get("pending"))


def choose(dataset: Document, offer_id: str | None) -> Document:
    """The offer of that id, or the only one; ends the command if there is no such choice."""
    offers: list[Document] = dataset.get("hasPolicy", [])
    chosen = [offer for offer in offers if offer_id in (None, offer.get("@id"))]
    if len(chosen) == 1:
        return chosen[0]
    known = ", ".join(str(offer.get("@id")) for offer in offers) or "none"
    raise Failed("offer-unchosen", f"which offer of dataset {dataset['@id']} is meant is not known; it has: {known}")
