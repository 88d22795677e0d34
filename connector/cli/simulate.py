"""`carnet simulate`: would a participant get an offer, under which terms of delivery; and why does it not see a dataset."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from connector.cli.channel import call, channel_options, moment, show
from connector.cli.claims import claim_options, claims_of
from connector.cli.errors import Failed
from connector.cli.explain import declared, declares_option, kept_lines, language_option, nested, read_policy
from connector.client.local import Document
from connector.flow.told import simulation_told
from policies.delivery import Capabilities
from policies.explain import Reader
from policies.simulation import Case, purpose_called, simulate
from policies.terms.term import Language
from policies.terms.time import AGREED_AT

SOMEBODY: Final = "urn:carnet:somebody"
_STEPS: Final = {
    "en": {"catalogue": "sees the offer", "negotiation": "gets a contract", "transfer": "gets the data"},
    "de": {"catalogue": "sieht das Angebot", "negotiation": "bekommt einen Vertrag", "transfer": "bekommt die Daten"},
    "fr": {"catalogue": "voit l'offre", "negotiation": "obtient un contrat", "transfer": "reçoit les données"},
}
_ANSWERS: Final = {
    "en": {"permit": "yes", "deny": "no"},
    "de": {"permit": "ja", "deny": "nein"},
    "fr": {"permit": "oui", "deny": "non"},
}


@click.command(name="simulate")
@channel_options
@click.argument("what", metavar="FILE|ID")
@click.option("--participant", metavar="ID", help="Who asks. Its claims are those of our registry, unless others are given.")
@claim_options
@click.option("--purpose", metavar="TERM", help="What for: a purpose such as PayAsYouDrive, or its IRI.")
@click.option("--at", metavar="TIME", help="When: ISO 8601 with its zone, such as 2027-01-31T12:00:00Z; now if left out.")
@click.option("--agreed", metavar="TIME", help="When the contract was made, for terms that run from then; now if left out.")
@language_option
@declares_option
def command(config: Path, as_json: bool, what: str, language: Language, **given: Any) -> None:
    """Suppose that a participant asks for what an offer is about: would it see it, get a contract, get the data; and how.

    FILE is a JSON file with an ODRL offer, which needs no connector. ID is an offer or a dataset that we have published: of a
    dataset each offer is shown, and why the participant does not see it. Nothing is asked of anybody, and nothing is kept.
    """
    purpose = None if given["purpose"] is None else chosen_purpose(given["purpose"])
    at, agreed = (None if given[name] is None else ms_of(given[name], name) for name in ("at", "agreed"))
    claims, participant = claims_of(given), given["participant"]
    if Path(what).is_file():
        policy = read_policy(Path(what))
        facts = {} if agreed is None else {AGREED_AT: agreed}
        now_ms = time.time_ns() // 1_000_000 if at is None else at
        case = Case(participant or SOMEBODY, now_ms, claims or {}, purpose, facts=facts)
        able = Capabilities(declared(given["declares"]))
        told = [simulation_told(policy, case, simulate(policy, case, able), able, Reader(language))]
    else:
        asked = {"participant": participant, "claims": claims, "purpose": purpose, "at": at, "agreed": agreed}
        told = call(config, lambda client: client.simulate(what, language=language, **asked))
    show(told, [line for each in told for line in lines(each)], as_json=as_json)


def chosen_purpose(name: str) -> str:
    """The IRI of a purpose; ends the command if there is none of this name and it is no IRI."""
    found = purpose_called(name)
    if found is None and ":" not in name:
        raise Failed("purpose-unknown", f"there is no purpose {name:.80}")
    return found or name


def ms_of(text: str, option: str) -> int:
    """A moment as ms since the epoch; ends the command if it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Failed("time-invalid", f"--{option} names no moment with its zone")
    return int(found.timestamp() * 1000)


def lines(told: Document) -> Iterator[str]:
    """For people: who asks for what and when, each step with its reasons, then the terms of delivery."""
    claims = ", ".join(f"{name} {_said(value)}" for name, value in told["claims"].items()) or "no verified claims"
    yield f"{told['id']} for {told['participant']} ({claims}) at {moment(told['at'])}"
    if told["purpose"]:
        yield f"  for the purpose {told['purpose']}"
    if told.get("hidden"):
        yield f"  {told['hidden']['sentence']}"
        yield f"    {told['hidden']['remedy']}"
    language = told["language"]
    for step in told["decisions"]:
        yield f"  {_STEPS[language][step['scope']]}: {_ANSWERS[language][step['outcome']]}"
        if step["outcome"] == "deny" or step is told["decisions"][-1]:
            yield from nested((each for each in step["sentences"] if each["depth"]), 1)
    yield from kept_lines(told)


def _said(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list | tuple) else str(value)
