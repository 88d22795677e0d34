"""Version 3 of EDC's management interface, which most clients speak: any JSON-LD comes in, and EDC's plain names go out.

An answer names no context by address, so that a client which expands it fetches nothing: EDC's vocabulary, and ODRL by prefix.
"""

from __future__ import annotations

from connector.management.documents import PLAIN_CONTEXT, Flat, read
from connector.management.odrl_forms import prefixed
from connector.protocol.messages import Document


class V3:
    """The dialect of version 3."""

    name = "v3"

    async def read(self, raw: bytes, form: str) -> Flat:
        """See Dialect. What a document calls itself is not asked: clients write many names there."""
        del form
        return await read(raw)

    def shown(self, document: Document) -> Document:
        """See Dialect."""
        policy = {"policy": prefixed(document["policy"])} if isinstance(document.get("policy"), dict) else {}
        return {**document, **policy, "@context": PLAIN_CONTEXT}
