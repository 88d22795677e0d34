"""The list of what is in a bundle, with the SHA-256 of each member, and the seal on it.

``manifest.json`` is canonical JSON (RFC 8785); ``manifest.jws`` is a compact JWS over its digest, with the exporter's key for
agreements, which stands in the bundle like the others. Reads nothing but the release of this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import msgspec

from catalog.canonical import canonical_bytes
from catalog.errors import DocumentError
from catalog.wire import parse
from connector.evidence.zipped import MAX_MEMBERS

SCHEMA: Final = "carnet-evidence/1"
TYPE: Final = "carnet-evidence+jws"
NAME: Final = "manifest.json"
SEAL: Final = "manifest.jws"
MAX_MANIFEST_BYTES: Final = 16_777_216
Document = dict[str, Any]


def release() -> str:
    """Which release this is; bundles of another one may say the same things in other words."""
    try:
        return version("carnet")
    except PackageNotFoundError:
        return "unknown"


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What a bundle says of itself. ``exporter`` and ``counterparty`` are participants, ``role`` the exporter's; ``made_at`` is
    ISO 8601; ``release`` wrote it; ``members``: SHA-256 (hex) by name, of all but the manifest and its seal."""

    schema: str
    agreement: str
    exporter: str
    counterparty: str
    role: str
    made_at: str
    release: str
    members: dict[str, str]


class ManifestWrong(Exception):
    """The manifest is none."""


def sealed_content(manifest: Manifest) -> Document:
    """What the exporter signs."""
    return {
        "type": "Evidence",
        "agreementId": manifest.agreement,
        "exporter": manifest.exporter,
        "manifestSha256": sha256(manifest_bytes(manifest)).hexdigest(),
        "issuedAt": manifest.made_at,
    }


def manifest_bytes(manifest: Manifest) -> bytes:
    """Its one form."""
    return canonical_bytes(msgspec.to_builtins(manifest))


def digests(members: Mapping[str, bytes]) -> dict[str, str]:
    """The SHA-256 of each member, in hex."""
    return {name: sha256(content).hexdigest() for name, content in members.items() if name not in (NAME, SEAL)}


def read_manifest(content: bytes) -> Manifest:
    """The manifest. Raises ManifestWrong."""
    try:
        document = parse(content, max_bytes=MAX_MANIFEST_BYTES, max_depth=4)
        manifest = msgspec.convert(document, Manifest)
        if canonical_bytes(document) != content:
            raise ManifestWrong("it is not in its canonical form (RFC 8785)")
    except (DocumentError, msgspec.ValidationError) as error:
        raise ManifestWrong("it is no manifest of a bundle") from error
    if manifest.schema != SCHEMA:
        raise ManifestWrong(f"it is of another schema than {SCHEMA}")
    if len(manifest.members) > MAX_MEMBERS:
        raise ManifestWrong(f"it lists more than {MAX_MEMBERS} members")
    return manifest
