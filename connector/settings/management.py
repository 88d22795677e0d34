"""The settings of the management interface: where it listens, and whose tokens it takes. A part of ``connector.settings.model``.

May import msgspec only.
"""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

Port = Annotated[int, Meta(ge=0, le=65535)]
Text = Annotated[str, Meta(min_length=1, max_length=2048)]


class ManagementIssuerSettings(Struct, frozen=True, kw_only=True):
    """An external authorization server whose tokens open the management interface."""

    issuer: Annotated[str, Meta(pattern=r"^https?://[^?#@\s]+$", max_length=2048, description="its issuer identifier; required")]
    roles_claim: Annotated[
        Text, Meta(description="claim of its tokens with the roles, a list or one text; `realm_access.roles`: inside another")
    ] = "roles"
    roles: Annotated[
        tuple[
            Annotated[str, Meta(pattern=r"^(operator|commercial|data-protection-officer|auditor|driver)=\S+$", max_length=300)],
            ...,
        ],
        Meta(max_length=64, description="what its roles are here, as `ours=theirs`: `auditor=audit-team`; empty: named as ours"),
    ] = ()
    vehicle_claim: Annotated[
        str, Meta(max_length=2048, description="claim with the consent ledger's own number of a driver's vehicle; empty: none")
    ] = ""
    audience: Annotated[
        str, Meta(max_length=2048, description="audience of its tokens; empty: the address of the management interface")
    ] = ""
    token_types: Annotated[tuple[Text, ...], Meta(max_length=4, description="`typ` of its access tokens")] = ("at+jwt",)
    algorithms: Annotated[
        tuple[Literal["ES256", "ES384", "EdDSA", "PS256", "RS256"], ...],
        Meta(min_length=1, description="signatures that it makes"),
    ] = ("ES256",)
    max_lifetime_s: Annotated[int, Meta(ge=30, le=86_400, description="longest life of a token that is taken, in seconds")] = 3600


class ManagementSettings(Struct, frozen=True, kw_only=True):
    """The listener for our own people and programs: dashboards, clients of EDC's Management API, `/carnet/v1`."""

    host: Annotated[str, Meta(max_length=255, description="address to listen on; empty: none")] = ""
    port: Annotated[Port, Meta(description="port to listen on; 0 takes a free one")] = 8181
    base_path: Annotated[
        str,
        Meta(
            pattern=r"^(/[A-Za-z0-9._~-]+)*$",
            max_length=200,
            description="path of the Management API, before `/v3` and `/v4`, without a slash at its end",
        ),
    ] = "/management"
    public_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^/?#@\s]+)?$",
            description="what callers see: `scheme://host:port`; empty: the listener itself, which must then be on loopback",
        ),
    ] = ""
    tls_certificate: Annotated[
        Path | None,
        Meta(description="PEM file with the certificate chain of this listener, relative to `data_dir`; empty: no TLS here"),
    ] = None
    tls_key: Annotated[Path | None, Meta(description="PEM file with its private key, mode 0600, relative to `data_dir`")] = None
    behind_proxy: Annotated[
        bool, Meta(description="a proxy in front terminates TLS: lets the listener leave loopback without a certificate")
    ] = False
    forwarded_for: Annotated[
        bool,
        Meta(description="that proxy appends to `X-Forwarded-For`: its last entry is the caller's address, for failed attempts"),
    ] = False
    allow_origins: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^https?://[^/?#@\s*]+$", max_length=300)], ...],
        Meta(max_length=64, description="exact origins whose pages in a browser may call: `https://dashboard.example`"),
    ] = ()
    token_life_s: Annotated[int, Meta(ge=30, le=3600, description="life of a token that is given for an API key, in seconds")] = (
        600
    )
    max_body_bytes: Annotated[int, Meta(ge=1024, le=16_777_216, description="largest request body taken, in bytes")] = 1_048_576
    failures_per_minute: Annotated[
        int, Meta(ge=1, le=10_000, description="failed attempts of one address a minute, after which it has to wait")
    ] = 30
    requests_per_s: Annotated[
        int, Meta(ge=1, le=100_000, description="sustained requests per second of one caller; checks of health are none")
    ] = 100
    burst: Annotated[int, Meta(ge=1, le=100_000, description="requests of one caller at once, before the rate holds")] = 200
    first_key_file: Annotated[
        Path,
        Meta(description="file of mode 0600 with an API key, relative to `data_dir`: an operator's, taken while there is none"),
    ] = Path("operator.key")
    issuers: tuple[ManagementIssuerSettings, ...] = ()
