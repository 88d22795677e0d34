"""Bodies of our own interfaces: JSON that is asked for in a form, and JSON that is answered. Imports the error tree only."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from connector.protocol.errors import CallerError


async def read_body(request: web.Request, form: type[Any]) -> Any:
    """The body as ``form``; an empty one stands for an empty object. Raises CallerError naming what is wrong."""
    raw = await request.read() or b"{}"
    # PostgreSQL keeps no text with a NUL in it, and JSON has no other way to write one.
    if b"\\u0000" in raw:
        raise CallerError("text-invalid", "the body has the character U+0000 in it; leave it out")
    try:
        return msgspec.json.decode(raw, type=form)
    except msgspec.ValidationError as error:
        raise CallerError("body-invalid", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CallerError("body-not-json", "the body is not JSON") from error


def json_answer(value: Any, status: int = 200) -> web.Response:
    """The value as JSON: documents, structs and data classes, and lists of them."""
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")
