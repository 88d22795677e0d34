"""TLS contexts for our listeners and for our calls, and everything that can be wrong with a certificate said in words.

Owns the least version (TLS 1.2), the suites of TLS 1.2 (forward secrecy and authenticated encryption only) and the checks of the
files that the settings name. Reads those files, so it is called on a thread or before the loop. A certificate that was renewed
is taken at the next start. May import `connector.settings`, cryptography and the standard library.
"""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from connector.settings.management import ManagementSettings
from connector.settings.model import DataSettings, ProtocolSettings, Settings
from connector.settings.secret import SettingsError

MAX_FILE_BYTES: Final = 1_048_576
SUITES_OF_TLS_1_2: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
_RENEW: Final = "renew it, then start again"


@dataclass(frozen=True, slots=True)
class Validity:
    """When the first certificate of a chain begins and ends, in milliseconds since the epoch."""

    begins_at: int
    ends_at: int


def server_context(certificate: Path, key: Path, *, section: str, now_ms: int) -> ssl.SSLContext:
    """What a listener speaks TLS with: a PEM chain, its own certificate first, and the private key of that one.

    `section` is the table of settings that names the files. Raises SettingsError: `tls-unreadable`, `tls-invalid`,
    `secret-exposed`, `tls-mismatch`, `tls-expired`, `tls-not-yet-valid`.
    """
    prefix = f"{section}." if section else ""
    chain = _chain(certificate, f"{prefix}tls_certificate")
    secret = _private_key(key, f"{prefix}tls_key")
    if _public(chain[0].public_key()) != _public(secret.public_key()):
        raise SettingsError(
            "tls-mismatch",
            f"{prefix}tls_key",
            f"{key} is not the key of the first certificate in {certificate}; name the pair that was issued together, "
            "the listener's own certificate before those of its authorities",
        )
    validity = _validity(chain[0])
    if validity.ends_at < now_ms:
        raise SettingsError(
            "tls-expired", f"{prefix}tls_certificate", f"{certificate} ended on {_day(validity.ends_at)}; {_RENEW}"
        )
    if validity.begins_at > now_ms:
        raise SettingsError(
            "tls-not-yet-valid",
            f"{prefix}tls_certificate",
            f"{certificate} begins on {_day(validity.begins_at)}; set the clock of this machine (NTP), or wait",
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SUITES_OF_TLS_1_2)
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, OSError) as error:
        raise SettingsError(
            "tls-invalid",
            f"{prefix}tls_certificate",
            f"{certificate} and {key} cannot be used: {_cause(error)}; have a new certificate issued (ECDSA P-256, or RSA 2048)",
        ) from None
    return context


def client_context(ca_file: Path | None) -> ssl.SSLContext:
    """What we call peers with: the system's authorities, and those of `client.ca_file` beside them.

    Raises SettingsError `tls-unreadable` or `tls-invalid`.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        # The parser says more than OpenSSL, which stops at the first block that it does not know.
        _chain(ca_file, "client.ca_file")
        try:
            context.load_verify_locations(ca_file)
        except (ssl.SSLError, OSError) as error:
            raise SettingsError("tls-invalid", "client.ca_file", f"{ca_file} cannot be used: {_cause(error)}") from None
    return context


def contexts(settings: Settings, now_ms: int) -> tuple[ssl.SSLContext, Mapping[str, ssl.SSLContext]]:
    """For a connector's calls, and for each listener, by its table of settings, that speaks TLS. Raises SettingsError as both.

    The files of a data plane that we start are tried too: here the refusal can be read.
    """
    trust = client_context(settings.client.ca_file)
    found: dict[str, ssl.SSLContext] = {}
    listeners: list[tuple[str, ProtocolSettings | DataSettings | ManagementSettings]] = [("protocol", settings.protocol)]
    if settings.management.host:
        listeners.append(("management", settings.management))
    if settings.data.managed:
        listeners.append(("data", settings.data))
    for section, chosen in listeners:
        if chosen.tls_certificate is not None and chosen.tls_key is not None:
            found[section] = server_context(chosen.tls_certificate, chosen.tls_key, section=section, now_ms=now_ms)
    return trust, found


def validity_of(certificate: Path, path: str) -> Validity:
    """How long the first certificate of a PEM file is good. `path` names the setting; raises SettingsError as server_context."""
    return _validity(_chain(certificate, path)[0])


def _chain(file: Path, path: str) -> list[x509.Certificate]:
    content, _ = _read(file, path)
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise SettingsError(
            "tls-invalid", path, f"{file} holds no PEM certificates; it should begin with -----BEGIN CERTIFICATE-----"
        ) from None


def _private_key(file: Path, path: str) -> PrivateKeyTypes:
    content, mode = _read(file, path)
    if mode & 0o077:
        raise SettingsError("secret-exposed", path, f"{file} may be read by others (mode {mode:04o}); run: chmod 600 {file}")
    try:
        return load_pem_private_key(content, password=None)
    except TypeError:
        remedy = "write it without a passphrase, mode 0600"
        raise SettingsError("tls-invalid", path, f"{file} is encrypted; {remedy}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise SettingsError("tls-invalid", path, f"{file} holds no private key in PEM") from None


def _read(file: Path, path: str) -> tuple[bytes, int]:
    """Content and mode of one and the same file. A symbolic link is followed: certificates are usually renewed behind one."""
    try:
        with file.open("rb") as opened:
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            content = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            "tls-unreadable", path, f"cannot read {file}: {error.strerror}; correct the path, or let this user read it"
        ) from None
    if len(content) > MAX_FILE_BYTES:
        raise SettingsError("tls-invalid", path, f"{file} is larger than {MAX_FILE_BYTES} bytes; name a PEM file")
    return content, mode


def _public(key: CertificatePublicKeyTypes | PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _validity(certificate: x509.Certificate) -> Validity:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return Validity(int(begins.timestamp()) * 1000, int(ends.timestamp()) * 1000)


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _cause(error: OSError) -> str:
    return (getattr(error, "reason", None) or error.strerror or "refused").replace("_", " ").lower()


def _no_password() -> str:
    """OpenSSL would ask the terminal."""
    return ""
