"""What a CatalogRequestMessage narrows a catalogue to, and the token that leads from one page to the next.

DSP 2025-1 leaves ``filter`` to implementations. Understood are ``{"text": ..., "theme": ...}`` (every word of the text is in the
titles, descriptions, keywords, publisher or columns; the theme is one of mobilityDCAT-AP's, by IRI or name) and EDC's QuerySpec
with ``limit`` and ``offset``, without an expression; one of them, or both in one object. All else is refused, never ignored.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from catalog.dcat import vocabulary as voc
from connector.protocol.errors import BadMessage
from connector.store.shelf import Wanted

OFFSET_MOST: Final = 10_000
WORDS_MOST: Final = 8
"""Most words of a text that is searched for."""
TEXT_CHARS: Final = 200
TOKEN_CHARS: Final = 16_384
_PASSED: Final = ("@type", "type", "sortOrder", "sortField")


@dataclass(frozen=True, slots=True)
class Window:
    """What to show: ``limit`` datasets after the one with the id ``after``, past the next ``offset``."""

    wanted: Wanted
    limit: int
    offset: int = 0
    after: str = ""


class _Token(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    after: str
    limit: int
    words: list[str] = []
    theme: str | None = None


_decode = msgspec.json.Decoder(_Token).decode
_encode = msgspec.json.Encoder().encode


def first_page(filters: Any, page_size: int) -> Window:
    """What a filter narrows the first page to. Raises BadMessage for one that is not understood (DSP 2025-1, 5.1: 400)."""
    entries = [filters] if isinstance(filters, dict) else (filters or [])
    if not isinstance(entries, list) or len(entries) > 1:
        raise _unsupported()
    if not entries:
        return Window(Wanted(), page_size)
    if not isinstance(entries[0], dict):
        raise _unsupported()
    plain = {_short(name): _plain(value) for name, value in entries[0].items()}
    kind = _short(str(plain.get("@type", plain.get("type", "QuerySpec"))))
    limit, offset = _number(plain.pop("limit", page_size)), _number(plain.pop("offset", 0))
    text, theme, expression = plain.pop("text", ""), plain.pop("theme", None), plain.pop("filterExpression", [])
    left = plain.keys() - set(_PASSED)
    if kind != "QuerySpec" or expression or left or limit is None or offset is None or limit < 1 or offset < 0:
        raise _unsupported()
    return Window(Wanted(_words(text), _theme(theme)), min(limit, page_size), min(offset, OFFSET_MOST))


def page(token: str | None, filters: Any, page_size: int) -> Window:
    """The window of a request: what its token goes on with, which carries what the first page was narrowed to, or its filter.

    Raises BadMessage.
    """
    if token is None:
        return first_page(filters, page_size)
    try:
        raw = base64.b64decode(token[:TOKEN_CHARS] + "=" * (-len(token) % 4), altchars="-_", validate=True)
        found = _decode(raw)
    except (ValueError, binascii.Error, msgspec.MsgspecError) as error:
        raise _token_invalid() from error
    texts = (found.after, *found.words, found.theme or "")
    if any("\0" in text for text in texts) or len(found.words) > WORDS_MOST or max(map(len, texts[1:])) > TEXT_CHARS:
        raise _token_invalid()
    return Window(Wanted(tuple(found.words), found.theme), max(1, min(found.limit, page_size)), after=found.after)


def next_token(window: Window, last_id: str) -> str:
    """The token of the page after the one that ends with ``last_id``."""
    wanted = window.wanted
    found = _encode(_Token(last_id, window.limit, list(wanted.words), wanted.theme))
    return base64.urlsafe_b64encode(found).decode().rstrip("=")


def _short(name: str) -> str:
    """A member's name without namespace or prefix."""
    return name if name.startswith("@") else name.rsplit("/", 1)[-1].rsplit("#", 1)[-1].rsplit(":", 1)[-1]


def _plain(value: Any) -> Any:
    """What a value says, in JSON or in any form that a JSON-LD processor leaves it in."""
    if isinstance(value, list) and len(value) == 1:
        return _plain(value[0])
    if isinstance(value, dict):
        return value.get("@value", value.get("@id", value))
    return value


def _words(text: Any) -> tuple[str, ...]:
    if not isinstance(text, str) or len(text) > TEXT_CHARS or "\0" in text or len(text.split()) > WORDS_MOST:
        raise BadMessage("filter-unsupported", f"filter.text is at most {WORDS_MOST} words of {TEXT_CHARS} characters in all")
    return tuple(text.lower().split())


def _theme(theme: Any) -> str | None:
    if theme is None:
        return None
    if not isinstance(theme, str) or not theme or len(theme) > TEXT_CHARS or "\0" in theme:
        raise BadMessage("filter-unsupported", "filter.theme is a mobility theme of mobilityDCAT-AP, by IRI or name")
    return theme if ":" in theme else f"{voc.THEME}/{theme}"


def _number(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _unsupported() -> BadMessage:
    return BadMessage(
        "filter-unsupported", "a filter has text, theme, limit and offset (or is a QuerySpec of these); leave the rest out"
    )


def _token_invalid() -> BadMessage:
    return BadMessage("token-invalid", "this continuationToken is not one of ours; begin with the first page")
