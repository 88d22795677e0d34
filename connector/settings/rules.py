"""The rules that span several settings; each refusal says how to mend it.

Owns what may be set together: peers and their tokens, bounds that depend on each other, who may call, and where a listener may
stand. Pure: looks at nothing but the settings. May import `connector.settings` only.
"""

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from connector.settings.management import ManagementSettings
from connector.settings.model import DEVELOPMENT_KEY, DataSettings, DevelopmentSettings, ProtocolSettings, Settings
from connector.settings.secret import Secret, SettingsError

_TO_RECOGNISE_PEERS = "peers are recognised by their keys (`carnet peers add`)"


def check(settings: Settings) -> None:
    """Raises SettingsError for the first rule that does not hold."""
    _check_peers(settings)
    _check_bounds(settings)
    _check_listeners(settings)
    _check_development(settings)
    _check_paths(settings)
    _check_pinned_tokens(settings)
    _check_issuers(settings)
    if settings.data.managed:
        check_tls("data", settings.data.public_host, settings.data.public_url, settings.data)
    check_tls("protocol", settings.protocol.host, settings.protocol.public_url, settings.protocol)
    _check_management(settings)


def is_loopback(host: str) -> bool:
    """Whether `host` can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_tls(section: str, host: str, public_url: str, chosen: ProtocolSettings | DataSettings | ManagementSettings) -> None:
    """A listener that others reach speaks TLS, or a proxy does for it; and what they are told to call is https.

    `host` is where it listens, `section` the table of settings that it stands in. Raises SettingsError `tls-missing` or
    `conflicting-settings`.
    """
    check_listener_tls(
        section,
        host,
        public_url,
        certificate=chosen.tls_certificate is not None,
        key=chosen.tls_key is not None,
        behind_proxy=chosen.behind_proxy,
    )


def check_listener_tls(section: str, host: str, public_url: str, *, certificate: bool, key: bool, behind_proxy: bool) -> None:
    """`check_tls` for settings of another shape: whether there is a certificate, a key and a proxy."""
    prefix = f"{section}." if section else ""
    if certificate != key:
        there, lacking = ("tls_certificate", "tls_key") if certificate else ("tls_key", "tls_certificate")
        raise SettingsError("conflicting-settings", f"{prefix}{lacking}", f"is required because {there} is set: set both or none")
    if not is_loopback(host) and not certificate and not behind_proxy:
        raise SettingsError(
            "tls-missing",
            f"{prefix}tls_certificate",
            "is required because the listener leaves loopback: name the PEM files in tls_certificate and tls_key, or set "
            "behind_proxy = true if a proxy in front of it terminates TLS",
        )
    _refuse_clear(f"{prefix}public_url", public_url)
    if certificate and not behind_proxy and public_url.lower().startswith("http:"):
        raise SettingsError("conflicting-settings", f"{prefix}public_url", "must begin with https: the listener speaks TLS")


def _refuse_clear(path: str, url: str) -> None:
    """Plain http is for loopback only."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise SettingsError(
            "invalid-value", path, "is not the address of a host; write https://host or https://host:port"
        ) from None
    if parts.scheme == "http" and not is_loopback(host or ""):
        raise SettingsError(
            "tls-missing",
            path,
            "must begin with https, for tokens and data would cross the network in the clear; http is for loopback only",
        )


def _check_peers(settings: Settings) -> None:
    seen_ids: set[str] = set()
    seen_tokens: list[Secret] = []
    for number, peer in enumerate(settings.peers):
        path = f"peers[{number}]"
        if peer.id in seen_ids or peer.id == settings.participant_id:
            raise SettingsError("duplicate-peer", f"{path}.id", "is listed twice or is ourselves; remove one")
        seen_ids.add(peer.id)
        if peer.inbound_token is not None:
            if any(peer.inbound_token.matches(other.reveal()) for other in seen_tokens):
                raise SettingsError(
                    "duplicate-token",
                    f"{path}.inbound_token",
                    "another peer has the same token, so we could not tell them apart; give each its own",
                )
            seen_tokens.append(peer.inbound_token)


def _check_bounds(settings: Settings) -> None:
    dispatch, client = settings.dispatch, settings.client
    for path, low, high, other in (
        (
            "dispatch.per_peer_concurrency",
            dispatch.per_peer_concurrency,
            dispatch.concurrency,
            "dispatch.concurrency",
        ),
        (
            "client.connect_timeout_s",
            client.connect_timeout_s,
            client.total_timeout_s,
            "client.total_timeout_s",
        ),
    ):
        if low > high:
            raise SettingsError("conflicting-settings", path, f"must not be more than {other}")
    if dispatch.lease_s <= dispatch.attempt_timeout_s:
        # Otherwise a second worker claims the message while the first is still sending it.
        raise SettingsError("conflicting-settings", "dispatch.lease_s", "must be more than dispatch.attempt_timeout_s")


def _listeners(settings: Settings) -> Sequence[tuple[str, str]]:
    listeners = [
        ("protocol.host", settings.protocol.host),
        ("data.signaling_host", settings.data.signaling_host),
        ("data.public_host", settings.data.public_host),
    ]
    chosen = [("local.host", settings.local.host), ("management.host", settings.management.host)]
    return [*listeners, *(each for each in chosen if each[1])]


def _check_listeners(settings: Settings) -> None:
    if settings.local.host and not is_loopback(settings.local.host):
        raise SettingsError("not-loopback", "local.host", "must be a loopback address, such as 127.0.0.1")
    if settings.data.managed and not is_loopback(settings.data.signaling_host):
        raise SettingsError("not-loopback", "data.signaling_host", "must be a loopback address while data.managed is true")
    for host_path, host, url_path, url in (
        ("protocol.host", settings.protocol.host, "protocol.public_url", settings.protocol.public_url),
        ("data.public_host", settings.data.public_host, "data.public_url", settings.data.public_url),
        ("management.host", settings.management.host, "management.public_url", settings.management.public_url),
    ):
        if not host:
            continue
        if not url and not is_loopback(host):
            raise SettingsError(
                "missing-setting",
                url_path,
                f"is required because {host_path} is not loopback: what do others call?",
            )


def _check_development(settings: Settings) -> None:
    development = settings.development
    if development.key == DEVELOPMENT_KEY:
        for path, host in _listeners(settings):
            if not is_loopback(host):
                raise SettingsError(
                    "not-loopback",
                    path,
                    "must be a loopback address while development.key is set; remove the key",
                )
    elif development != DevelopmentSettings():
        raise SettingsError(
            "development-locked",
            "development",
            f'is for tests only; remove the section, or begin it with key = "{DEVELOPMENT_KEY}"',
        )


def _ways(settings: Settings) -> list[tuple[str, str]]:
    """How callers identify, for each base path: the setting and its value."""
    also = [(f"protocol.also[{number}].auth", path.auth) for number, path in enumerate(settings.protocol.also)]
    return [("protocol.auth", settings.protocol.auth), *also]


def _check_paths(settings: Settings) -> None:
    seen = {settings.protocol.base_path}
    for number, path in enumerate(settings.protocol.also):
        if path.path in seen:
            raise SettingsError("duplicate-path", f"protocol.also[{number}].path", "is a base path already; remove one")
        seen.add(path.path)


def _check_pinned_tokens(settings: Settings) -> None:
    """A pinned token is a password that never changes: for tests, where nothing else would do."""
    pinned = [path for path, auth in _ways(settings) if auth == "pinned-token"]
    known = [f"peers[{number}].inbound_token" for number, peer in enumerate(settings.peers) if peer.inbound_token is not None]
    if settings.development.key != DEVELOPMENT_KEY:
        for path in pinned:
            raise SettingsError(
                "development-locked", path, f'takes "pinned-token" with development.key only; remove it: {_TO_RECOGNISE_PEERS}'
            )
        for path in known:
            raise SettingsError(
                "development-locked", path, f"is taken with development.key only; remove it: {_TO_RECOGNISE_PEERS}"
            )
    if settings.development.anonymous_participant is not None:
        known.append("development.anonymous_participant")
    for path in known:
        if not pinned:
            raise SettingsError("conflicting-settings", path, 'has no effect: set protocol.auth = "pinned-token", or remove it')


def _check_issuers(settings: Settings) -> None:
    seen: set[str] = set()
    for number, issuer in enumerate(settings.issuers):
        path = f"issuers[{number}]"
        _refuse_clear(f"{path}.issuer", issuer.issuer)
        if issuer.issuer in seen or issuer.issuer == settings.protocol.public_url:
            raise SettingsError("duplicate-issuer", f"{path}.issuer", "is listed twice or is ourselves; remove one")
        seen.add(issuer.issuer)
        if settings.participant_id in issuer.participants:
            raise SettingsError("conflicting-settings", f"{path}.participants", "names ourselves; remove that entry")
    if not settings.oauth.embedded and not settings.issuers and any(auth == "oauth" for _, auth in _ways(settings)):
        raise SettingsError(
            "conflicting-settings", "oauth.embedded", "is false and there are no [[issuers]]: nobody could call; set one of them"
        )


def _check_management(settings: Settings) -> None:
    management = settings.management
    check_tls("management", management.host or "localhost", management.public_url, management)
    if management.public_url and management.public_url == settings.protocol.public_url:
        raise SettingsError(
            "conflicting-settings",
            "management.public_url",
            "is that of the protocol listener; give it a name or port of its own, which peers need not reach",
        )
    if management.base_path == "/carnet" or management.base_path.startswith("/carnet/"):
        raise SettingsError("conflicting-settings", "management.base_path", "cannot be below /carnet, where our own interface is")
    peers = settings.protocol.public_url
    seen: set[str] = {management.public_url, peers}
    for number, issuer in enumerate(management.issuers):
        path = f"management.issuers[{number}]"
        _refuse_clear(f"{path}.issuer", issuer.issuer)
        if issuer.issuer in seen:
            raise SettingsError("duplicate-issuer", f"{path}.issuer", "is listed twice or is ourselves; remove one")
        seen.add(issuer.issuer)
        if peers and f"{issuer.audience}/".startswith(f"{peers}/"):
            raise SettingsError(
                "conflicting-settings",
                f"{path}.audience",
                "is where peers come: what is given to them would open the management interface; take another",
            )
