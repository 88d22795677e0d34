"""Refusals of the data plane and their form on the wire (RFC 9457 problem+json). Imports aiohttp only.

A refusal has a status, a stable code for programs and a sentence for people; it never holds a token.
"""

from __future__ import annotations

import json

from aiohttp import web


class Refusal(Exception):
    """The request cannot be granted. ``detail`` may be shown to whoever asked."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail

    def response(self, headers: dict[str, str] | None = None) -> web.Response:
        """The problem document. A 401 says which scheme is wanted."""
        more = {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}
        return web.Response(
            status=self.status,
            body=json.dumps({"title": self.code, "status": self.status, "code": self.code, "detail": self.detail}),
            content_type="application/problem+json",
            headers={"Cache-Control": "no-store", **more, **(headers or {})},
        )
