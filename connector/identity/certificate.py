"""The certificate of the key that signs agreements: X.509, self-signed, so that signature tools can show who signed.

It vouches for nothing that the DID document does not say; a certificate of an authority can take its place later. No I/O.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

LIFETIME: Final = timedelta(days=5 * 365 + 1)
# RFC 5280, appendix A: ub-common-name, which X.509 libraries count in bytes.
MAX_COMMON_NAME_BYTES: Final = 64
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")


def self_signed(private: EllipticCurvePrivateKey, participant_id: str, now_ms: int) -> str:
    """A certificate in PEM, good for five years from ``now_ms``; its subject's common name is the participant id.

    A name longer than X.509 allows is cut there; in full it is the alternative name, where it is a URI as DIDs are.
    """
    common = participant_id.encode()[:MAX_COMMON_NAME_BYTES].decode(errors="ignore")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    begins = datetime.fromtimestamp(now_ms // 1000, UTC)
    public = private.public_key()
    use = {"digital_signature": True, "content_commitment": True, "key_encipherment": False, "data_encipherment": False}
    use |= {"key_agreement": False, "key_cert_sign": False, "crl_sign": False, "encipher_only": False, "decipher_only": False}
    made = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**use), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    if _URI.fullmatch(participant_id):
        other = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(participant_id)])
        made = made.add_extension(other, critical=False)
    return made.sign(private, SHA256()).public_bytes(Encoding.PEM).decode()


def chain_member(pem: str) -> str:
    """A certificate as a member of ``x5c`` (RFC 7517, 4.7): base64 of its DER. Raises ValueError."""
    return base64.b64encode(x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)).decode()


def from_chain(member: str, private: EllipticCurvePrivateKey) -> str:
    """The PEM of a member of ``x5c``, which must be about this key. Raises ValueError."""
    found = x509.load_der_x509_certificate(base64.b64decode(member, validate=True))
    if found.public_key() != private.public_key():
        raise ValueError("the certificate is of another key")
    return found.public_bytes(Encoding.PEM).decode()
