"""A certificate authority of the tests' own: what it issues is trusted by nobody but who is told to."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

LIFE = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Files:
    """What a listener is given."""

    certificate: Path
    key: Path

    def toml(self) -> str:
        """As settings."""
        return f'tls_certificate = "{self.certificate}"\ntls_key = "{self.key}"\n'


class Authority:
    """Issues certificates for 127.0.0.1 and localhost. ``file`` is its own certificate, to be trusted."""

    def __init__(self, folder: Path, name: str = "authority of a test") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        built = _builder(self._name, self._name, self._key.public_key(), now - LIFE * 20, now + LIFE * 20)
        built = built.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).add_extension(
            x509.KeyUsage(
                digital_signature=False,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        built = built.add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
        self.file = folder / f"{name.replace(' ', '-')}.pem"
        self.file.write_bytes(built.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def issue(
        self,
        name: str = "listener",
        *,
        begins: datetime | None = None,
        ends: datetime | None = None,
        passphrase: bytes | None = None,
    ) -> Files:
        """A new certificate and its key, mode 0600; good from yesterday for ``LIFE`` unless told otherwise."""
        now = datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        begins, ends = begins or now - timedelta(days=1), ends or now + LIFE
        built = _builder(subject, self._name, key.public_key(), begins, ends).add_extension(names, critical=False)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        built = built.add_extension(authority, critical=False)
        files = Files(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        files.certificate.write_bytes(built.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
        files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        files.key.chmod(0o600)
        return files


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
