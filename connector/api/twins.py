"""The ten commands with which a first contract is made, and what each calls: for the page of the interface, and its tests.

A value that begins with ``$`` stands for something that an earlier call has answered. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Side = Literal["oem", "city"]


@dataclass(frozen=True, slots=True)
class Step:
    """One call: the operation, what goes into its path and query, and its body. ``until``: it is made again until the state of
    the answer is that. ``keep``: under which ``$`` names which members of the answer are kept, as paths with dots."""

    operation: str
    places: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    body: Any = None
    until: str = ""
    keep: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Twin:
    """A command, on whose connector it is given, and the calls that do the same."""

    command: str
    side: Side
    about: str
    steps: tuple[Step, ...]


_STATUS: Final = (Step("showStatus", keep={"$us": "participantId"}),)
OEM: Final = "did:web:localhost%3A8301"
CITY: Final = "did:web:localhost%3A8311"
TWINS: Final = (
    Twin("carnet init oem", "oem", "Makes folder, keys and settings, before there is anything to call. Who was made:", _STATUS),
    Twin("carnet init city", "city", "As before, for the other side.", _STATUS),
    Twin("carnet serve (oem)", "oem", "Runs what is called. Whether it runs, and its data plane:", _STATUS),
    Twin("carnet serve (city)", "city", "As before, for the other side.", _STATUS),
    Twin(
        "carnet publish", "oem", "A table and the terms under which its rows can be had.",
        (Step("publishDataset", body={
            "id": "urn:oem:flow", "file": "$file", "title": "Traffic flow", "offers": ["$terms"], "table": {},
        }),),
    ),
    Twin(
        "carnet browse", "city", "What the other side offers us: nothing, as long as nobody there vouches for us.",
        (Step("readCatalog", body={"counterparty": "$oem"}),),
    ),
    Twin(
        "carnet peers admit", "oem", "Vouches for a participant; what its terms ask of it counts from then on.",
        (Step("admitParticipant", {"id": "$city"}, body={
            "vouched_by": "A. Person", "claims": {"kind": "public-body", "country": "FR"},
        }),),
    ),
    Twin(
        "carnet negotiate", "city", "Takes the offer out of the catalogue, asks for a contract, and waits for it.",
        (
            Step("readCatalog", body={"counterparty": "$oem", "dataset": "urn:oem:flow"}, keep={"$offer": "hasPolicy.0"}),
            Step("beginNegotiation", body={"counterparty": "$oem", "dataset": "urn:oem:flow", "offer": "$offer"},
                 keep={"$negotiation": "id"}),
            Step("showNegotiation", {"id": "$negotiation"}, "?wait_s=5&version=0", until="FINALIZED",
                 keep={"$agreement": "agreement.@id"}),
        ),
    ),
    Twin(
        "carnet transfer", "city", "Asks for the data, and waits until they are here.",
        (
            Step("beginTransfer", body={"agreement": "$agreement", "sink": "flow.csv", "ask": {"format": "csv"}},
                 keep={"$transfer": "id"}),
            Step("showTransfer", {"id": "$transfer"}, "?wait_s=5&version=0", until="COMPLETED"),
        ),
    ),
    Twin("carnet receipts", "city", "What was delivered, and who has signed for it.", (Step("listReceipts"),)),
)  # fmt: skip
