"""Settings of negotiations and transfers: which steps wait for people, which people, how long. May import msgspec only."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Decider = Literal["automatic", "manual"]


class NegotiationSettings(Struct, frozen=True, kw_only=True):
    """Which steps of a negotiation wait for a person."""

    decide: Annotated[Decider, Meta(description="provider: who answers a request or a counter-offer")] = "automatic"
    accept: Annotated[Decider, Meta(description="consumer: who answers an offer")] = "automatic"
    verify: Annotated[Decider, Meta(description="consumer: who verifies an agreement")] = "automatic"
    deadline_s: Annotated[
        int,
        Meta(
            ge=1,
            le=31_536_000,
            description="after which a negotiation that does not move is ended, in seconds",
        ),
    ] = 604_800
    decision_deadline_s: Annotated[
        int,
        Meta(
            ge=1,
            le=31_536_000,
            description="after which a negotiation that waits for a person is refused, in seconds",
        ),
    ] = 259_200
    approval_roles: Annotated[
        tuple[Literal["operator", "commercial", "data-protection-officer"], ...],
        Meta(
            max_length=3,
            description="who decides what waits for a person, where the offer does not say it; empty: operator or commercial",
        ),
    ] = ()
    approval_eyes: Annotated[
        int, Meta(ge=1, le=2, description="how many people have to approve it, at least: 2 for four eyes")
    ] = 1


class TransferSettings(Struct, frozen=True, kw_only=True):
    """Which steps of a transfer wait for a person."""

    start: Annotated[Decider, Meta(description="provider: who starts a transfer that was requested")] = "automatic"
    deadline_s: Annotated[
        int,
        Meta(
            ge=1,
            le=31_536_000,
            description="after which a requested transfer that did not start is ended, in seconds",
        ),
    ] = 86_400
