"""The settings as frozen structs: name, type, bound, default and meaning of each, in one literal place.

The tables in the README beside it and the commented file of `carnet init` are made from the descriptions here. A bound
carries its unit in its name: `_s` seconds, `_ms` milliseconds, `_bytes` bytes. After `load`, every path is
absolute and every token file has been read.

May import msgspec and `connector.settings.secret` only.
"""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from connector.settings.contractlog import LogSettings
from connector.settings.identity import IssuerSettings, KeysSettings, OAuthSettings
from connector.settings.management import ManagementSettings
from connector.settings.negotiation import NegotiationSettings, TransferSettings
from connector.settings.secret import Secret

DEVELOPMENT_KEY = "i-know-this-is-not-for-production"
_URL_PATTERN = r"^(https?://[^/?#@\s]+)?$"

Port = Annotated[int, Meta(ge=0, le=65535)]
Text = Annotated[str, Meta(min_length=1, max_length=2048)]


class StoreSettings(Struct, frozen=True, kw_only=True):
    """Where the state of the connector is kept."""

    url: Annotated[
        str,
        Meta(
            pattern=r"^(sqlite:.+|postgres(ql)?://.+)$",
            description="`sqlite:FILE` (relative to `data_dir`) or `postgresql://USER@HOST/DATABASE`",
        ),
    ] = "sqlite:control.db"
    group_size: Annotated[int, Meta(ge=1, le=4096, description="SQLite: transactions that share one commit at most")] = 64
    pool_size: Annotated[int, Meta(ge=1, le=256, description="PostgreSQL: connections held at most by one process")] = 16

    def __repr__(self) -> str:
        # The address of a PostgreSQL server may carry a password.
        shown = f"{urlsplit(self.url).scheme}:***"
        return f"StoreSettings(url={shown!r}, group_size={self.group_size}, pool_size={self.pool_size})"


Auth = Literal["oauth", "pinned-token"]
_CERTIFICATE = "PEM file with the certificate chain of this listener, relative to `data_dir`; empty: no TLS here"
_TLS_KEY = "PEM file with its private key, mode 0600, relative to `data_dir`"
_BEHIND_PROXY = "a proxy in front terminates TLS: lets the listener leave loopback without a certificate"


class PathSettings(Struct, frozen=True, kw_only=True):
    """One more base path of the protocol listener."""

    path: Annotated[str, Meta(pattern=r"^(/[A-Za-z0-9._~-]+)+$", max_length=200, description="base path; required")]
    auth: Annotated[Auth, Meta(description="how callers of it identify")] = "oauth"


class ProtocolSettings(Struct, frozen=True, kw_only=True):
    """The listener that peers talk to (Dataspace Protocol)."""

    host: Annotated[Text, Meta(description="address to listen on")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="port to listen on; 0 takes a free one")] = 8282
    base_path: Annotated[
        str,
        Meta(
            pattern=r"^(/[A-Za-z0-9._~-]+)*$",
            max_length=200,
            description="path of the protocol endpoints, without a slash at its end",
        ),
    ] = "/dsp/2025-1"
    public_url: Annotated[
        str,
        Meta(
            pattern=_URL_PATTERN,
            description="what peers see: `scheme://host:port` without `base_path`; empty: the listener "
            "itself, which must then be on loopback",
        ),
    ] = ""
    max_body_bytes: Annotated[int, Meta(ge=1024, le=16_777_216, description="largest request body taken, in bytes")] = 262_144
    max_depth: Annotated[int, Meta(ge=8, le=256, description="deepest nesting of JSON taken")] = 64
    request_timeout_s: Annotated[
        int, Meta(ge=1, le=300, description="time for one request from first byte to answer, in seconds")
    ] = 30
    page_size: Annotated[int, Meta(ge=1, le=1000, description="datasets on one page of the catalogue")] = 100
    auth: Annotated[Auth, Meta(description="how callers of `base_path` identify; `pinned-token` needs `development.key`")] = (
        "oauth"
    )
    also: Annotated[
        tuple[PathSettings, ...], Meta(max_length=8, description="further base paths, each with its own identity")
    ] = ()
    tls_certificate: Annotated[Path | None, Meta(description=_CERTIFICATE)] = None
    tls_key: Annotated[Path | None, Meta(description=_TLS_KEY)] = None
    behind_proxy: Annotated[bool, Meta(description=_BEHIND_PROXY)] = False
    forwarded_for: Annotated[
        bool,
        Meta(
            description="that proxy appends to `X-Forwarded-For`: its last entry is the caller's address, for bounds by address"
        ),
    ] = False

    @property
    def paths(self) -> tuple[tuple[str, Auth], ...]:
        """Every base path with the way to identify there, the main one first."""
        return ((self.base_path, self.auth), *((each.path, each.auth) for each in self.also))


class LocalSettings(Struct, frozen=True, kw_only=True):
    """The listener for the operator of this connector, on this machine only."""

    socket: Annotated[Path | None, Meta(description="Unix socket, relative to `data_dir`; empty: none")] = Path("carnet.sock")
    host: Annotated[str, Meta(max_length=255, description="loopback address to listen on as well; empty: none")] = ""
    port: Annotated[Port, Meta(description="port on `host`; 0 takes a free one")] = 8383
    token_file: Annotated[
        Path,
        Meta(description="file with the token that callers on `host` present, relative to `data_dir`"),
    ] = Path("local.token")


class DataSettings(Struct, frozen=True, kw_only=True):
    """The data plane: the process that moves the bytes."""

    managed: Annotated[bool, Meta(description="start and stop the data plane together with the connector")] = True
    signaling_host: Annotated[Text, Meta(description="address of its Data Plane Signaling listener; loopback when managed")] = (
        "127.0.0.1"
    )
    signaling_port: Annotated[Port, Meta(description="port of its Data Plane Signaling listener; 0 takes a free one")] = 8484
    public_host: Annotated[Text, Meta(description="address that consumers fetch data from")] = "127.0.0.1"
    public_port: Annotated[Port, Meta(description="port that consumers fetch data from; 0 takes a free one")] = 8585
    public_url: Annotated[
        str,
        Meta(
            pattern=_URL_PATTERN,
            description="what consumers see: `scheme://host:port`; empty: the listener itself, which must then be on loopback",
        ),
    ] = ""
    control_port: Annotated[
        Port, Meta(description="loopback port on which the data plane reports to the connector; 0 takes a free one")
    ] = 0
    database: Annotated[Path, Meta(description="SQLite file of the data plane, relative to `data_dir`")] = Path("data.db")
    token_file: Annotated[
        Path,
        Meta(description="file with the token that connector and data plane share, relative to `data_dir`"),
    ] = Path("data.token")
    source_roots: Annotated[
        tuple[Path, ...],
        Meta(max_length=64, description="the only folders that files may be published from, relative to `data_dir`"),
    ] = (Path("."),)
    tls_certificate: Annotated[Path | None, Meta(description=_CERTIFICATE)] = None
    tls_key: Annotated[Path | None, Meta(description=_TLS_KEY)] = None
    behind_proxy: Annotated[bool, Meta(description=_BEHIND_PROXY)] = False
    sink_dir: Annotated[Path, Meta(description="folder for data that is received, relative to `data_dir`")] = Path("received")
    spool_dir: Annotated[
        Path,
        Meta(description="folder for files that are made for buyers; beside it stand the consents; relative to `data_dir`"),
    ] = Path("spool")
    declares: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=2048)], ...],
        Meta(max_length=256, description="IRIs of the terms that a data plane of another make enforces; ours says so itself"),
    ] = ()
    token_life_s: Annotated[
        int,
        Meta(ge=10, le=86_400, description="how long a consumer's token opens the data before it must be renewed, in seconds"),
    ] = 300
    max_streams: Annotated[int, Meta(ge=1, le=65_536, description="deliveries that run at the same time")] = 256
    stream_bytes_per_s: Annotated[
        int, Meta(ge=0, le=1_000_000_000_000, description="pace of one delivery, in bytes a second; 0: as fast as it is read")
    ] = 0
    max_downloads: Annotated[int, Meta(ge=1, le=1024, description="transfers that are received at the same time")] = 8
    max_download_bytes: Annotated[int, Meta(ge=1, le=1 << 50, description="largest file that is received, in bytes")] = (
        1_099_511_627_776
    )
    artifact_wait_s: Annotated[
        int,
        Meta(ge=0, le=300, description="how long a request waits for its file to be made before it is asked again, in seconds"),
    ] = 20
    artifact_retention_s: Annotated[
        int,
        Meta(ge=0, le=31_536_000, description="how long the file of a transfer stays after the transfer has ended, in seconds"),
    ] = 86_400
    max_artifact_bytes: Annotated[int, Meta(ge=1, le=1 << 50, description="largest file that is made for a buyer, in bytes")] = (
        68_719_476_736
    )
    max_making: Annotated[int, Meta(ge=1, le=64, description="files that are made at the same time, each by its own process")] = 2
    query_total_s: Annotated[
        int, Meta(ge=1, le=604_800, description="longest that the making of a file may take, in seconds")
    ] = 3600
    query_memory_bytes: Annotated[
        int,
        Meta(ge=67_108_864, le=1 << 40, description="memory of the query engine for each file that is made, in bytes"),
    ] = 209_715_200
    query_threads: Annotated[int, Meta(ge=1, le=256, description="threads of the query engine for each file that is made")] = 2
    min_free_bytes: Annotated[
        int,
        Meta(ge=0, le=1 << 50, description="so much stays free on the disk of `spool_dir`, or nothing is made, in bytes"),
    ] = 536_870_912
    erasure_deadline_s: Annotated[
        int,
        Meta(
            ge=60,
            le=31_536_000,
            description="how long a buyer has to erase the data of a vehicle whose consent was withdrawn, in seconds; it is told",
        ),
    ] = 259_200


class DispatchSettings(Struct, frozen=True, kw_only=True):
    """Delivery of our messages to peers."""

    concurrency: Annotated[int, Meta(ge=1, le=4096, description="deliveries in flight at once")] = 256
    per_peer_concurrency: Annotated[
        int, Meta(ge=1, le=4096, description="deliveries in flight to one peer; at most `concurrency`")
    ] = 32
    attempt_timeout_s: Annotated[int, Meta(ge=1, le=300, description="time for one attempt, connecting included, in seconds")] = (
        15
    )
    backoff_first_ms: Annotated[
        int, Meta(ge=1, le=60_000, description="pause after the first failed attempt, in milliseconds")
    ] = 200
    backoff_max_s: Annotated[int, Meta(ge=1, le=86_400, description="longest pause between attempts, in seconds")] = 300
    conflict_retry_s: Annotated[
        int,
        Meta(
            ge=0,
            le=300,
            description="how long a 409 is retried (a peer that has not committed yet), in seconds",
        ),
    ] = 5
    not_found_retry_s: Annotated[int, Meta(ge=0, le=300, description="how long a 404 is retried, in seconds")] = 10
    message_deadline_s: Annotated[
        int,
        Meta(ge=1, le=31_536_000, description="after which an undelivered message ends its process, in seconds"),
    ] = 86_400
    termination_deadline_s: Annotated[
        int,
        Meta(ge=1, le=31_536_000, description="after which an undelivered termination is given up, in seconds"),
    ] = 604_800
    lease_s: Annotated[
        int,
        Meta(
            ge=2,
            le=3600,
            description="how long a claimed message is one worker's, in seconds; more than an attempt",
        ),
    ] = 30
    claim_batch: Annotated[int, Meta(ge=1, le=1024, description="messages claimed in one transaction")] = 64


class QuotaSettings(Struct, frozen=True, kw_only=True):
    """What one participant may ask of us."""

    requests_per_s: Annotated[int, Meta(ge=1, le=1_000_000, description="sustained requests per second of one participant")] = 500
    burst: Annotated[
        int,
        Meta(ge=1, le=1_000_000, description="requests of one participant at once, before the rate holds"),
    ] = 1000
    in_flight: Annotated[
        int, Meta(ge=1, le=65_536, description="requests of one participant being answered at the same time")
    ] = 64
    unverified_requests_per_s: Annotated[
        int, Meta(ge=1, le=1_000_000, description="the same three for a participant that nobody has vouched for: a second")
    ] = 5
    unverified_burst: Annotated[int, Meta(ge=1, le=1_000_000, description="at once")] = 20
    unverified_in_flight: Annotated[int, Meta(ge=1, le=65_536, description="at the same time")] = 2


class ClientSettings(Struct, frozen=True, kw_only=True):
    """The guard around every request that we make."""

    connect_timeout_s: Annotated[int, Meta(ge=1, le=300, description="time to resolve and connect, in seconds")] = 5
    idle_timeout_s: Annotated[int, Meta(ge=1, le=300, description="longest silence while an answer comes in, in seconds")] = 15
    total_timeout_s: Annotated[int, Meta(ge=1, le=3600, description="time for a request and its whole answer, in seconds")] = 30
    max_answer_bytes: Annotated[int, Meta(ge=1024, le=1_073_741_824, description="largest answer read, in bytes")] = 4_194_304
    ca_file: Annotated[
        Path | None, Meta(description="PEM file of certificate authorities to trust beside the system's, relative to `data_dir`")
    ] = None
    allow: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^\S+:\d{1,5}$", max_length=300)], ...],
        Meta(
            max_length=256,
            description="exact `host:port` that may be called although the address is private or loopback",
        ),
    ] = ()


class PeerSettings(Struct, frozen=True, kw_only=True):
    """A participant known from the start; others come by `carnet peers` or by their DID."""

    id: Annotated[Text, Meta(description="its participant id; required")]
    addresses: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^https?://[^?#@\s]+$", max_length=2048)], ...],
        Meta(max_length=16, description="its protocol base URLs, `base_path` included"),
    ] = ()
    inbound_token: Annotated[
        Secret | None, Meta(description="the token it presents to us, where a path takes pinned tokens; needs `development.key`")
    ] = None
    inbound_token_file: Annotated[Path | None, Meta(description="the same, in a file of mode 0600, relative to `data_dir`")] = (
        None
    )
    outbound_token: Annotated[Secret | None, Meta(description="the token we present to it")] = None
    outbound_token_file: Annotated[Path | None, Meta(description="the same, in a file of mode 0600, relative to `data_dir`")] = (
        None
    )


class LoggingSettings(Struct, frozen=True, kw_only=True):
    """Logs, on standard error."""

    level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="least severe line that is written")] = "info"
    format: Annotated[Literal["json", "console"], Meta(description="one JSON object a line, or lines for people")] = "json"


class MetricsSettings(Struct, frozen=True, kw_only=True):
    """Prometheus metrics."""

    enabled: Annotated[bool, Meta(description="serve metrics on the local listener")] = True


class TelemetrySettings(Struct, frozen=True, kw_only=True):
    """OpenTelemetry traces."""

    enabled: Annotated[bool, Meta(description="record spans; needs the extra `carnet[telemetry]`")] = False


class RuleSettings(Struct, frozen=True, kw_only=True):
    """One automatic reaction of a test connector."""

    kind: Annotated[Literal["negotiation", "transfer"], Meta(description="kind of process")]
    role: Annotated[Literal["consumer", "provider"], Meta(description="our role in it")]
    key: Annotated[Text, Meta(description="glob over the dataset (negotiation) or agreement (transfer) id")]
    state: Annotated[Text, Meta(description="state that was reached")]
    action: Annotated[Text, Meta(description="what is then done")]
    nth: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="only the nth time that this state is reached; none: each time"),
    ] = None
    delay_ms: Annotated[int, Meta(ge=0, le=60_000, description="pause before it, in milliseconds")] = 0


class DatasetSettings(Struct, frozen=True, kw_only=True):
    """One dataset that a test connector offers."""

    id: Annotated[Text, Meta(description="id of the dataset")]
    offer_id: Annotated[Text, Meta(description="id of its offer")]
    title: Annotated[str, Meta(max_length=2048, description="its title")] = ""
    file: Annotated[Path | None, Meta(description="file that is delivered, relative to `data_dir`; empty: none")] = None
    media_type: Annotated[Text, Meta(description="media type of the file")] = "application/octet-stream"


class AgreementSettings(Struct, frozen=True, kw_only=True):
    """One agreement that a test connector holds from the start."""

    id: Annotated[Text, Meta(description="id of the agreement")]
    dataset: Annotated[Text, Meta(description="id of the dataset")]
    counterparty: Annotated[Text, Meta(description="participant id of the other side")]
    role: Annotated[Literal["consumer", "provider"], Meta(description="our role in it")]


class DevelopmentSettings(Struct, frozen=True, kw_only=True):
    """What only tests and demonstrations may do: takes `key`, and every listener on loopback."""

    key: Annotated[str, Meta(description=f'must be exactly "{DEVELOPMENT_KEY}" before another key here is taken')] = ""
    anonymous_participant: Annotated[Text | None, Meta(description="participant id given to callers without a token")] = None
    http_dids: Annotated[bool, Meta(description="resolve `did:web` of loopback over plain http")] = False
    hooks: Annotated[bool, Meta(description="serve the hooks that start processes for a test kit")] = False
    rules: Annotated[tuple[RuleSettings, ...], Meta(max_length=1000, description="automatic reactions")] = ()
    datasets: Annotated[tuple[DatasetSettings, ...], Meta(max_length=1000, description="datasets on offer from the start")] = ()
    agreements: Annotated[tuple[AgreementSettings, ...], Meta(max_length=1000, description="agreements held from the start")] = ()


class Settings(Struct, frozen=True, kw_only=True):
    """All settings of one connector."""

    participant_id: Annotated[Text, Meta(description="who we are, as peers name us; required")]
    data_dir: Annotated[Path, Meta(description="folder of everything that is kept, relative to the settings file")] = Path(".")
    store: StoreSettings = StoreSettings()
    protocol: ProtocolSettings = ProtocolSettings()
    local: LocalSettings = LocalSettings()
    management: ManagementSettings = ManagementSettings()
    data: DataSettings = DataSettings()
    dispatch: DispatchSettings = DispatchSettings()
    quota: QuotaSettings = QuotaSettings()
    client: ClientSettings = ClientSettings()
    oauth: OAuthSettings = OAuthSettings()
    issuers: tuple[IssuerSettings, ...] = ()
    keys: KeysSettings = KeysSettings()
    log: LogSettings = LogSettings()
    negotiation: NegotiationSettings = NegotiationSettings()
    transfer: TransferSettings = TransferSettings()
    peers: tuple[PeerSettings, ...] = ()
    logging: LoggingSettings = LoggingSettings()
    metrics: MetricsSettings = MetricsSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    development: DevelopmentSettings = DevelopmentSettings()

    @property
    def control_database(self) -> Path | None:
        """The SQLite file of the connector; None when `store.url` names a PostgreSQL server."""
        scheme, _, rest = self.store.url.partition(":")
        return self.data_dir / rest if scheme == "sqlite" else None
