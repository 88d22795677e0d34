"""Refusals of the data plane and their form on the wire (RFC 9457 problem+json). Imports aiohttp only.

A refusal has a status, a stable code for programs and a sentence for people; it never holds a token.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from aiohttp import web


class Refusal(Exception):
    """The request cannot be granted (yet: 202). ``detail`` may be shown to whoever asked, and ``more`` members for programs;
    ``retry_s``: seconds after which asking again may help."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        more: Mapping[str, str | int | None] | None = None,
        retry_s: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.more = dict(more or {})
        self.retry_s = retry_s

    def response(self, headers: dict[str, str] | None = None) -> web.Response:
        """The problem document. A 401 says which scheme is wanted."""
        more = {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}
        if self.retry_s is not None:
            more["Retry-After"] = str(self.retry_s)
        return web.Response(
            status=self.status,
            body=json.dumps({"title": self.code, "status": self.status, "code": self.code, "detail": self.detail, **self.more}),
            content_type="application/problem+json" if self.status >= 400 else "application/json",
            headers={"Cache-Control": "no-store", **more, **(headers or {})},
        )
