"""Terms of the project's own peer messages: what two Carnet connectors tell each other beyond DSP. Imports nothing."""

from __future__ import annotations

from typing import Any, Final

URL: Final = "https://w3id.org/carnet/peer/v1/context.jsonld"
NAMESPACE: Final = "https://w3id.org/carnet/peer/v1#"

SIGNED_TYPES: Final = ("Receipt", "ReceiptAnswer", "ErasureNotice", "ErasureAttestation", "AgreementSignature")
WITNESS_TYPES: Final = ("CheckpointShown", "CheckpointCosigned", "CheckpointRefused")
TYPES: Final = ("Hello", "Capabilities", *SIGNED_TYPES, *WITNESS_TYPES)

CONTEXT: Final[dict[str, Any]] = {
    "@version": 1.1,
    "carnet": NAMESPACE,
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "PeerMessage": "carnet:PeerMessage",
    **{name: f"carnet:{name}" for name in TYPES},
    "messageId": {"@id": "carnet:messageId", "@type": "@id"},
    "participantId": {"@id": "carnet:participantId", "@type": "@id"},
    "protocol": "carnet:protocol",
    "software": "carnet:software",
    "issuedAt": "carnet:issuedAt",
    "signed": "carnet:signed",
    "note": "carnet:note",
    "oldSize": "carnet:oldSize",
    "oldRoot": "carnet:oldRoot",
    "proof": "carnet:proof",
    "handover": "carnet:handover",
    "size": "carnet:size",
    "cosignature": "carnet:cosignature",
    "step": "carnet:step",
    "why": "carnet:why",
    "features": {"@id": "carnet:features", "@container": "@set"},
}
