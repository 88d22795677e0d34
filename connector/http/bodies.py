"""Bodies of our own interfaces: JSON that is asked for in a form, and JSON that is answered. Imports the error tree only."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from aiohttp import web

from connector.protocol.errors import CallerError

LEAST: Final = -(1 << 63)
MOST: Final = (1 << 64) - 1
"""Whole numbers that fit into 64 bits."""
_LONG: Final = re.compile(rb"[0-9]{19}")


async def read_body(request: web.Request, form: type[Any]) -> Any:
    """The body as ``form``; an empty one stands for an empty object. Raises CallerError naming what is wrong."""
    raw = await request.read() or b"{}"
    # PostgreSQL keeps no text with a NUL in it, and JSON has no other way to write one.
    if b"\\u0000" in raw:
        raise CallerError("text-invalid", "the body has the character U+0000 in it; leave it out")
    try:
        if _LONG.search(raw) is not None and _too_large(msgspec.json.decode(raw)):
            raise CallerError("number-too-large", "a whole number in the body has more than 64 bits")
        return msgspec.json.decode(raw, type=form)
    except msgspec.ValidationError as error:
        raise CallerError("body-invalid", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CallerError("body-not-json", "the body is not JSON") from error


def json_answer(value: Any, status: int = 200) -> web.Response:
    """The value as JSON: documents, structs and data classes, and lists of them."""
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")


def _too_large(value: Any) -> bool:
    """Whether a whole number is in it that others whom we pass it on to could not read. As deep as the decoder goes."""
    if isinstance(value, dict):
        return any(map(_too_large, value.values()))
    if isinstance(value, list):
        return any(map(_too_large, value))
    return isinstance(value, int) and not LEAST <= value <= MOST
