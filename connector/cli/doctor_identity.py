"""What the doctor sees of our own identity on this machine: keys, their age, and certificates. Calls nobody, changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from cryptography import x509

from connector.cli.findings import Finding
from connector.http.tls import client_context, server_context, validity_of
from connector.identity.keyfiles import load_keys
from connector.identity.keys import ALGORITHMS, KeyRing, Use
from connector.settings import Settings, SettingsError

DAY_MS: Final = 86_400_000
SOON_DAYS: Final = 30
OLD_DAYS: Final = 365


def own_keys(settings: Settings, environ: Mapping[str, str]) -> tuple[KeyRing | None, Finding]:
    """Our keys if they can be used, and what to say of that."""
    try:
        ring = load_keys(settings.keys.dir, environ, settings.keys.overlap_h)
    except SettingsError as error:
        if error.code != "keys-missing":
            return None, Finding("problem", "keys", f"cannot be used [{error.code}]", error.reason)
        database = settings.control_database
        if database is None or not database.exists():
            return None, Finding("fine", "keys", "what is missing will be made at the first start")
        what = "some are missing, and the next start makes others, which peers do not know"
        return None, Finding(
            "warning", "keys", what, f"restore {settings.keys.dir} from a copy if there is one, before you start"
        )
    return ring, Finding("fine", "keys", f"one for each use; {ring.current(Use.OAUTH).kid} shows others who we are")


def key_ages(ring: KeyRing, now_ms: int) -> Iterator[Finding]:
    """Keys that sign and are old, and the end of the certificate that agreements are signed with."""
    for use in ALGORITHMS:
        key = ring.current(use)
        days = (now_ms - key.made_at) // DAY_MS
        if key.made_at and days > OLD_DAYS:
            yield Finding("warning", f"{use} key", f"{key.kid} is {days} days old", f"run: carnet keys rotate {use}")
    pem = ring.current(Use.AGREEMENT).certificate
    if pem:
        ends_at = int(x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc.timestamp()) * 1000
        yield _end("agreement certificate", ends_at, now_ms, f"run: carnet keys rotate {Use.AGREEMENT}")


def certificates(settings: Settings, now_ms: int) -> Iterator[Finding]:
    """The files of TLS that the settings name: whether they can be used, and for how long."""
    listeners = [("protocol", settings.protocol.tls_certificate, settings.protocol.tls_key)]
    if settings.management.host:
        listeners.append(("management", settings.management.tls_certificate, settings.management.tls_key))
    if settings.data.managed:
        listeners.append(("data", settings.data.tls_certificate, settings.data.tls_key))
    for section, certificate, key in listeners:
        if certificate is not None and key is not None:
            yield _listener(section, certificate, key, now_ms)
    if settings.client.ca_file is not None:
        try:
            client_context(settings.client.ca_file)
        except SettingsError as error:
            yield Finding("problem", error.path, f"cannot be used [{error.code}]", error.reason)
        else:
            yield Finding("fine", "client.ca_file", f"{settings.client.ca_file} is trusted")


def _listener(section: str, certificate: Path, key: Path, now_ms: int) -> Finding:
    about = f"{section}.tls_certificate"
    try:
        server_context(certificate, key, section=section, now_ms=now_ms)
        ends_at = validity_of(certificate, about).ends_at
    except SettingsError as error:
        return Finding("problem", error.path, f"cannot be used [{error.code}]", error.reason)
    return _end(about, ends_at, now_ms, "renew it, then start the connector again")


def _end(about: str, ends_at: int, now_ms: int, remedy: str) -> Finding:
    days = (ends_at - now_ms) // DAY_MS
    if ends_at < now_ms:
        return Finding("problem", about, f"ended {-days} days ago", remedy)
    if days < SOON_DAYS:
        return Finding("warning", about, f"ends in {days} days", remedy)
    return Finding("fine", about, f"is good for {days} days")
