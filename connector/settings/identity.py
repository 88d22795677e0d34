"""The settings of identity: who may call, whose tokens are taken, our own keys. A part of ``connector.settings.model``.

May import msgspec and `connector.settings.secret` only.
"""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from connector.settings.secret import Secret

Text = Annotated[str, Meta(min_length=1, max_length=2048)]


class OAuthSettings(Struct, frozen=True, kw_only=True):
    """Who may call: the embedded authorization server and what is taken of others."""

    embedded: Annotated[bool, Meta(description="run the embedded authorization server")] = True
    meet_by_did: Annotated[
        bool, Meta(description="recognise by its `did:web` document a participant that is not in the registry, as unverified")
    ] = True
    max_unverified: Annotated[int, Meta(ge=0, le=1_000_000, description="unverified participants kept at most")] = 1000
    token_lifetime_s: Annotated[int, Meta(ge=30, le=3600, description="life of an access token, in seconds")] = 300
    leeway_s: Annotated[int, Meta(ge=0, le=60, description="how far a clock of others may be off, in seconds")] = 30
    token_requests_per_s: Annotated[int, Meta(ge=1, le=10_000, description="token requests a second of one address")] = 10
    token_burst: Annotated[int, Meta(ge=1, le=10_000, description="token requests of one address at once")] = 50
    document_timeout_s: Annotated[
        int, Meta(ge=1, le=30, description="time to fetch a DID document, key set or metadata, in seconds")
    ] = 5
    document_max_bytes: Annotated[int, Meta(ge=4096, le=1_048_576, description="largest such document, in bytes")] = 131_072
    document_cache_s: Annotated[int, Meta(ge=1, le=300, description="how long such a document is believed, in seconds")] = 300
    document_min_refresh_s: Annotated[
        int, Meta(ge=1, le=300, description="shortest time between two fetches of the same document, in seconds")
    ] = 10


class IssuerSettings(Struct, frozen=True, kw_only=True):
    """An external authorization server whose tokens are taken."""

    issuer: Annotated[str, Meta(pattern=r"^https?://[^?#@\s]+$", max_length=2048, description="its issuer identifier; required")]
    participants: Annotated[
        tuple[Text, ...],
        Meta(min_length=1, max_length=10_000, description="the only participants that it may speak for; required"),
    ]
    participant_claim: Annotated[Text, Meta(description="claim of its tokens that holds the participant id")] = "participant_id"
    audience: Annotated[
        str, Meta(max_length=2048, description="audience of its tokens; empty: the address of our protected resource")
    ] = ""
    token_types: Annotated[tuple[Text, ...], Meta(max_length=4, description="`typ` of its access tokens")] = ("at+jwt",)
    algorithms: Annotated[
        tuple[Literal["ES256", "ES384", "EdDSA", "PS256", "RS256"], ...],
        Meta(min_length=1, description="signatures that it makes"),
    ] = ("ES256",)
    claims: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^(kind|sector|membership|country|gatekeeper)=\S+$")], ...],
        Meta(max_length=16, description="claims that it vouches for, as `ours=theirs`: `kind=org_kind`"),
    ] = ()
    sender_constraint: Annotated[
        Literal["dpop", "bearer"], Meta(description="whether its tokens must be bound to a DPoP key")
    ] = "dpop"
    max_lifetime_s: Annotated[int, Meta(ge=30, le=86_400, description="longest life of a token that is taken, in seconds")] = 3600
    client_id: Annotated[str, Meta(max_length=512, description="who we are there; empty: our participant id")] = ""
    client_secret: Annotated[Secret | None, Meta(description="our secret there; none: we sign with our OAuth key")] = None
    client_secret_file: Annotated[Path | None, Meta(description="the same, in a file of mode 0600, relative to `data_dir`")] = (
        None
    )
    scope: Annotated[str, Meta(max_length=512, description="scope that we ask for there; empty: none")] = ""


class KeysSettings(Struct, frozen=True, kw_only=True):
    """Our keys, one for each use."""

    dir: Annotated[Path, Meta(description="folder of the keys, mode 0700, relative to `data_dir`")] = Path("keys")
    overlap_h: Annotated[
        int, Meta(ge=1, le=8760, description="how long a key that was rotated stays good for what it signed, in hours")
    ] = 48
