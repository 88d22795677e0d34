"""Version 4 of EDC's management interface: documents in the compacted form of its context, held to schemas."""

from __future__ import annotations

from catalog import contexts
from connector.management.documents import Flat, flat, parsed
from connector.management.v4.schemas import OPTIONAL, check
from connector.protocol.messages import Document


class V4:
    """The dialect of version 4."""

    name = "v4"

    async def read(self, raw: bytes, form: str) -> Flat:
        """See Dialect. Raises Invalid with everything that a schema finds wrong."""
        document = parsed(raw)
        if not document and form in OPTIONAL:
            return {}
        check(document, form)
        # When it was made is for us to say, and a word that the context does not have everywhere.
        return await flat({name: value for name, value in document.items() if name != "createdAt"})

    def shown(self, document: Document) -> Document:
        """See Dialect."""
        profile = {"profile": document["protocol"]} if "protocol" in document else {}
        return {"@context": [contexts.EDC_MANAGEMENT], **document, **profile}
