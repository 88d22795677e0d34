"""Settings of the data plane process: a frozen struct and the reader of its TOML file.

Secrets stand in files of their own that only the owner may read; the TOML names them. May import connector.settings.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from connector.settings.rules import check_listener_tls, is_loopback
from connector.settings.secret import Secret, SettingsError, read_private, read_token


class DataPlaneBounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits; times in seconds, sizes in bytes."""

    max_message_bytes: int = 256 * 1024
    max_streams: int = 256
    # PostgreSQL: connections held at most.
    max_sessions: int = 8
    piece_bytes: int = 1024 * 1024
    # Pace of one delivery; 0 means as fast as the consumer reads.
    stream_bytes_per_s: int = 0
    # A consumer that reads nothing for this long is cut off.
    stream_idle_s: float = 60.0
    max_downloads: int = 8
    max_download_bytes: int = 1024**4
    download_idle_s: float = 60.0
    download_total_s: float = 7 * 24 * 3600.0
    # Consecutive attempts that bring no byte before a download counts as failed.
    download_attempts: int = 12
    # How long a provider may take to make the file that we asked for, and our own work on one that has come.
    making_total_s: float = 6 * 3600.0
    landing_total_s: float = 3600.0
    callback_attempts: int = 100
    callback_timeout_s: float = 10.0
    backoff_first_s: float = 0.2
    backoff_max_s: float = 60.0
    # How long a token opens the data of a transfer, before its holder must have renewed it.
    token_life_s: int = 300
    # How long a provider may take to renew a token of ours.
    renewal_timeout_s: float = 20.0
    # How long the control plane may take to decide on a data request.
    decision_timeout_s: float = 10.0
    # HTTP sources: silence before we give up, one answer as a whole, and how large an answer and a buyer's own body may be.
    source_idle_s: float = 60.0
    source_total_s: float = 24 * 3600.0
    max_source_bytes: int = 1024**4
    max_request_bytes: int = 1024 * 1024
    # How long a request waits for its file to be made before it is told to come again.
    artifact_wait_s: float = 20.0
    artifact_retry_s: int = 2
    max_artifact_bytes: int = 64 * 1024**3
    # Files of deliveries stay this long after their transfer has ended; what was delivered of cells stays for good.
    artifact_retention_s: float = 24 * 3600.0
    # Files that are made at the same time, and what each may use.
    max_making: int = 2
    query_total_s: float = 3600.0
    query_memory_bytes: int = 200 * 1024 * 1024
    query_threads: int = 2
    # So much must stay free on the disk of the spool.
    min_free_bytes: int = 512 * 1024 * 1024


class DataPlaneSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the data plane needs to run. ``token`` is asked of who calls us, ``control_token`` shown to
    the control plane.

    ``signaling_port`` and ``public_port`` may be 0; ``public_url`` empty means the public listener's own address.
    ``source_roots`` are the only folders files may be published from; ``egress_allow`` as in EgressPolicy. ``tls_certificate``
    and ``tls_key`` are for the public listener, ``ca_file`` is trusted beside the system's authorities; all PEM files.
    ``spool_dir`` holds the files that are made for buyers and the indexes of the vehicles in them. ``database_url``: a PostgreSQL
    database that replicas share, in the place of ``database``; then ``spool_dir``, too, is one folder of all.
    """

    database: Path
    token: Secret
    control_url: str
    control_token: Secret
    sink_dir: Path
    spool_dir: Path = Path("spool")
    database_url: Secret | None = None
    source_roots: tuple[Path, ...] = ()
    signaling_host: str = "127.0.0.1"
    signaling_port: int = 0
    public_host: str = "127.0.0.1"
    public_port: int = 0
    public_url: str = ""
    egress_allow: frozenset[str] = frozenset()
    egress_https_only: bool = True
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    ca_file: Path | None = None
    bounds: DataPlaneBounds = DataPlaneBounds()

    def __repr__(self) -> str:
        return f"DataPlaneSettings(database={str(self.database)!r}, secrets not shown)"


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    database: str
    token_file: str
    control_url: str
    control_token_file: str
    sink_dir: str
    spool_dir: str = "spool"
    database_url_file: str = ""
    source_roots: tuple[str, ...] = ()
    signaling_host: str = "127.0.0.1"
    signaling_port: int = 0
    public_host: str = "127.0.0.1"
    public_port: int = 0
    public_url: str = ""
    egress_allow: frozenset[str] = frozenset()
    egress_https_only: bool = True
    tls_certificate: str = ""
    tls_key: str = ""
    behind_proxy: bool = False
    ca_file: str = ""
    bounds: DataPlaneBounds = DataPlaneBounds()


def load_settings(file: Path) -> DataPlaneSettings:
    """Read a TOML file; relative paths count from its folder. Raises SettingsError, which never shows a secret.

    A public listener that leaves loopback needs TLS or a proxy that speaks it, as in the settings of the connector.
    """
    try:
        read = msgspec.convert(tomllib.loads(file.read_text()), _File)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingsError("invalid-file", str(file), str(error)) from None
    if not read.public_url and not is_loopback(read.public_host):
        raise SettingsError(
            "missing-setting", "public_url", "is required because public_host is not loopback: what do others call?"
        )
    check_listener_tls(
        "",
        read.public_host,
        read.public_url,
        certificate=bool(read.tls_certificate),
        key=bool(read.tls_key),
        behind_proxy=read.behind_proxy,
    )
    here = file.resolve().parent
    return DataPlaneSettings(
        database=here / read.database,
        token=read_token(here / read.token_file, "token_file"),
        control_url=read.control_url.rstrip("/"),
        control_token=read_token(here / read.control_token_file, "control_token_file"),
        sink_dir=here / read.sink_dir,
        spool_dir=here / read.spool_dir,
        database_url=read_private(here / read.database_url_file, "database_url_file") if read.database_url_file else None,
        source_roots=tuple(here / root for root in read.source_roots),
        signaling_host=read.signaling_host,
        signaling_port=read.signaling_port,
        public_host=read.public_host,
        public_port=read.public_port,
        public_url=read.public_url.rstrip("/"),
        egress_allow=read.egress_allow,
        egress_https_only=read.egress_https_only,
        tls_certificate=here / read.tls_certificate if read.tls_certificate else None,
        tls_key=here / read.tls_key if read.tls_key else None,
        ca_file=here / read.ca_file if read.ca_file else None,
        bounds=read.bounds,
    )
