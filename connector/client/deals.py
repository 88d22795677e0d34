"""Deals in a few words: a contract for what a peer offers, and the data of a contract. Built on LocalClient alone.

What is refused comes as Declined, with the counterparty's own reason, so that a program can go on from it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from connector.client.local import LocalClient
from connector.client.refusals import Declined, Document, Refused, Waited
from policies import dsp
from policies.narrowing import for_purpose

__all__ = ["Declined", "Landed", "contract", "declined", "fetch", "narrowed", "offered"]
DEAL_S: Final = 60.0
FETCH_S: Final = 600.0
_OVER: Final = frozenset({"FINALIZED", "COMPLETED", "TERMINATED"})
_ANSWERED: Final = re.compile(r"the provider answered \d{3} \(([\w-]+)\): ")
"""How a fetch that was refused says so, with the provider's code."""


@dataclass(frozen=True, slots=True)
class Landed:
    """Data that have come: the name of the file below the consumer's ``data.sink_dir``, the transfer that brought it, and what
    both sides' receipts say (bytes, sha256, rows, suppressed)."""

    name: str
    transfer: str
    received: Document


async def offered(client: LocalClient, provider: str, dataset: str) -> Document:
    """The one offer of a peer's dataset that we see. Raises Declined where there is none, or a choice."""
    found = await client.dataset(provider, dataset)
    offers: list[Document] = found.get("hasPolicy", [])
    if len(offers) != 1:
        raise Declined("offer-none" if not offers else "offer-several", f"{dataset} has {len(offers)} offers")
    return offers[0]


def narrowed(offer: Document, purpose: str) -> Document:
    """The offer for one purpose (an IRI). Raises Declined where it permits nothing for that."""
    found = for_purpose(dsp.read(offer), purpose)
    if found is None:
        raise Declined("purpose-none", f"the offer permits nothing for the purpose {purpose}")
    return {**offer, "permission": dsp.write(found)["permission"]}


async def contract(
    client: LocalClient,
    provider: str,
    dataset: str,
    *,
    purpose: str | None = None,
    offer: Document | None = None,
    within_s: float = DEAL_S,
) -> str:
    """The id of a contract for a dataset on the terms of its only offer, narrowed to ``purpose``, or of ``offer``.

    Raises Declined with the provider's reason, or when the negotiation waits for a person (code ``pending``); Waited when it has
    not ended within ``within_s`` seconds.
    """
    terms = offer or await offered(client, provider, dataset)
    begun = await client.negotiate(provider, dataset, narrowed(terms, purpose) if purpose else terms)
    done = await client.wait(begun["id"], lambda now: now["state"] in _OVER or bool(now.get("pending")), within_s)
    if done["state"] != "FINALIZED":
        still_going(done, within_s)
        raise declined(done)
    return str(done["agreement"]["@id"])


async def fetch(client: LocalClient, agreement: str, name: str, *, within_s: float = FETCH_S, **ask: Any) -> Landed:
    """The data of a contract, in a file of that name below the consumer's ``data.sink_dir``.

    ``ask`` narrows what the contract gives: ``from`` and ``to`` (instants), ``box``, ``columns``, ``format``, ``purpose``. Raises
    Declined with the provider's reason, and the transfer is then terminated; Waited when it takes longer than ``within_s``.
    """
    begun = await client.transfer(agreement, sink=name, **({"ask": ask} if ask else {}))
    done = await client.wait(begun["id"], lambda now: now["state"] in _OVER or bool(_failed(now)), within_s)
    if done["state"] != "COMPLETED":
        still_going(done, within_s)
        await _ended(client, done)
        raise declined(done)
    return Landed(str(done["sink"]), str(done["id"]), done["received"])


async def _ended(client: LocalClient, transfer: Document) -> None:
    """Terminate a transfer of which nothing came: nobody waits for it any more."""
    if transfer["state"] not in _OVER:
        # Where the provider was quicker, there is nothing left to end.
        with suppress(Refused):
            await client.act(transfer["id"], "terminate", reason=["nothing came of it"])


def still_going(process: Document, within_s: float) -> None:
    """Raises Waited for a negotiation or transfer that goes on, though it was given ``within_s`` seconds."""
    if process["state"] not in _OVER and not process.get("pending") and not _failed(process):
        raise Waited(f"the {process['kind']} {process['id']} is still {process['state']} after {within_s:g} s")


def declined(process: Document) -> Declined:
    """Why a negotiation or transfer gave nothing, as an error."""
    if process.get("pending"):
        waits = f"{process['kind']} {process['id']} waits for a person: {process['pending']}"
        return Declined("pending", waits, process=process)
    ended = process.get("ended") or process.get("refusal") or {}
    answered = _ANSWERED.match(_failed(process))
    if answered:
        return Declined(answered[1], _failed(process)[answered.end() :], process=process)
    reasons = [str(each) for each in ended.get("reason", [])]
    reason = _failed(process) or "; ".join(reasons) or f"it is {process['state']}"
    return Declined(str(ended.get("code") or "declined"), reason, [] if _failed(process) else reasons, process)


def _failed(process: Document) -> str:
    return str((process.get("received") or {}).get("error") or "")
