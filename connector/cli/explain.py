"""`carnet explain`: what an offer or agreement says, in sentences, and how each of its terms is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, get_args

import click

from connector.cli.channel import call, channel_options, show
from connector.cli.errors import Failed, problem_lines
from connector.cli.publish import read_terms
from connector.cli.transfer import only
from connector.client.local import Document, LocalClient, Refused
from connector.flow.told import policy_told
from connector.terms import TermsInvalid, load_terms
from policies import either
from policies.delivery import Capabilities
from policies.errors import PolicyInvalid
from policies.explain import Reader
from policies.model import CARNET, DPV, ODRL, Policy
from policies.terms.registry import REGISTRY
from policies.terms.term import Language

LANGUAGES: Final = get_args(Language)
NEW: Final = "urn:carnet:offer"
"""What an offer in a file is called that has no name yet."""
_KEPT: Final = {
    "en": "How each term is kept:",
    "de": "Wie jede Bedingung eingehalten wird:",
    "fr": "Comment chaque condition est tenue :",
}
_UNKEPT: Final = {
    "en": "What cannot be kept here; with it nothing is published:",
    "de": "Was hier nicht eingehalten werden kann; damit wird nichts veröffentlicht:",
    "fr": "Ce qui ne peut être tenu ici ; rien n'est publié avec cela :",
}


def language_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--language`."""
    return click.option("--language", type=click.Choice(LANGUAGES), default="en", show_default=True, help="Of the sentences.")(
        command
    )


def declares_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--declares`; the function gets `declares`."""
    text = "For a file: a term that the data plane would enforce, such as minGroupSize; may be repeated."
    return click.option("--declares", multiple=True, metavar="TERM", help=text)(command)


@click.command(name="explain")
@channel_options
@click.argument("what", metavar="FILE|ID")
@language_option
@declares_option
@click.option("--redacted", is_flag=True, help="As the counterparty reads it: without lists of access and names of others.")
def command(config: Path, as_json: bool, what: str, language: Language, declares: tuple[str, ...], redacted: bool) -> None:
    """Say what an offer or agreement means, and how each of its terms is kept: enforced and where, evidenced, or legal only.

    FILE is a JSON file with an ODRL policy, which needs no connector. ID is an offer that we have published, a dataset of ours
    with one offer, an agreement, or the dataset of our only agreement about it.
    """
    if Path(what).is_file():
        policy = read_policy(Path(what))
        told = policy_told(policy, Capabilities(declared(declares)), Reader(language, "redacted" if redacted else "full"))
    else:

        async def explain(client: LocalClient) -> Document:
            try:
                return await client.explain(what, language=language, redacted=redacted)
            except Refused as refused:
                held = await only(client, what)
                if refused.code != "terms-unknown" or held is None:
                    raise
                return await client.explain(held["id"], language=language, redacted=redacted)

        told = call(config, explain)
    show(told, lines(told), as_json=as_json)


def read_policy(file: Path) -> Policy:
    """The policy in a file, full ODRL or as DSP has it, with the terms of installed packages; ends the command if it is none."""
    try:
        load_terms()
        return either.read(read_terms(file), uid=NEW)
    except TermsInvalid as wrong:
        raise Failed("terms-invalid", str(wrong)) from wrong
    except PolicyInvalid as wrong:
        raise Failed("policy-invalid", f"{file}: {wrong}") from wrong


def declared(names: Iterable[str]) -> frozenset[str]:
    """The IRIs of terms named by IRI, or by its last part; ends the command for one that nobody knows."""
    found = set()
    for name in names:
        known = next((iri for iri in (name, CARNET + name, ODRL + name, DPV + name) if iri in REGISTRY), None)
        if known is None:
            raise Failed("term-unknown", f"there is no term {name:.80}")
        found.add(known)
    return frozenset(found)


def lines(told: Document) -> Iterator[str]:
    """For people: what the policy says, then how it is kept."""
    yield f"{told['kind']} {told['id']}"
    yield from nested(told["sentences"], 1)
    yield from kept_lines(told)


def kept_lines(told: Document) -> Iterator[str]:
    """How each term is kept, and what cannot be; nothing for who is not told."""
    if told.get("delivery"):
        yield _KEPT[told["language"]]
        yield from nested(told["delivery"], 1)
    if told.get("problems"):
        yield _UNKEPT[told["language"]]
        yield from problem_lines(told["problems"])


def nested(sentences: Iterable[Document], depth: int) -> Iterator[str]:
    """Sentences, indented by how deeply they are nested."""
    for each in sentences:
        yield "  " * (depth + each["depth"]) + each["sentence"]
