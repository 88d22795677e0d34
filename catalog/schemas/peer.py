"""The project's own peer messages: who is there, and what it can do."""

from __future__ import annotations

from typing import Any, Final

from catalog.schemas.parts import DATE_TIME, ID, message, some

_MEMBERS: Final[dict[str, Any]] = {
    "messageId": ID,
    "participantId": ID,
    "protocol": ID,
    "software": ID,
    "issuedAt": DATE_TIME,
    "features": some(ID),
}
DEFINITIONS: Final[dict[str, dict[str, Any]]] = message("Hello", "messageId participantId protocol issuedAt", _MEMBERS) | message(
    "Capabilities", "messageId participantId protocol issuedAt features", _MEMBERS
)
TYPES: Final = tuple(DEFINITIONS)
