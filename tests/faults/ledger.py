"""The ledger of one side: what was shown to it, and what it answered. Kept at the wire, where nobody's memory is killed.

What is single-use is good for one request, whoever of the replicas gets it, and whatever was killed in between. A second use
that is answered is an error, and so is an answer to somebody who has shown nothing.
"""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

from connector.identity.gate import public_key
from connector.identity.proof import Proof

PROTOCOL: Final = "/dsp/2025-1/"
TOKEN: Final = "/oauth/token"
READS: Final = f"{PROTOCOL}catalog/"
# Refused before what was shown is used up: nothing was done, and the same may come again.
NOT_TAKEN: Final = (401, 429)
REFUSED_NEW: Final = "proofs refused, new"


@dataclass(frozen=True, slots=True)
class Taken:
    """A proof that was taken: its key in ``used_once``, when it was made (seconds), whether its request may change state."""

    once: str
    made_at: int
    changes: bool


class Ledger:
    """Takes note of every request that reached a replica. ``token_asked`` is set when one for a token is about to."""

    def __init__(self) -> None:
        self.token_asked = asyncio.Event()
        self.counts: Counter[str] = Counter()
        self.taken: list[Taken] = []
        self._wrong: list[str] = []
        self._shown: set[str] = set()
        self._used: Counter[str] = Counter()

    def going(self, request: bytes) -> None:
        """See Watch."""
        if request.startswith(f"POST {TOKEN} ".encode()):
            self.token_asked.set()

    def note(self, request: bytes, answer: bytes | None) -> None:
        """See Watch."""
        head, _, body = request.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path = first.split(" ")[:2]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = 0 if answer is None else int(answer.split(b" ", 2)[1])
        if path == TOKEN:
            self._token(parse_qs(body.decode())["client_assertion"][0], headers, status)
        elif path.startswith(PROTOCOL):
            self._message(method, path, headers, status)

    def _token(self, assertion: str, headers: dict[str, str], status: int) -> None:
        jti = "assertion " + _part(assertion, 1)["jti"]
        self._count("tokens", "issued", {jti, "dpop " + _part(headers["dpop"], 1)["jti"]}, status)

    def _message(self, method: str, path: str, headers: dict[str, str], status: int) -> None:
        if not headers.get("authorization", "").startswith("DPoP ") or "dpop" not in headers:
            if status not in (0, 401):
                self._wrong.append(f"{method} {path} was answered {status} without a proof")
            return
        head, claims = _part(headers["dpop"], 0), _part(headers["dpop"], 1)
        self._count("proofs", "taken", {"dpop " + claims["jti"]}, status)
        if _took(status):
            proof = Proof(public_key(head["jwk"]).thumbprint, claims["jti"], claims["iat"], None)
            changes = method == "POST" and not path.startswith(READS)
            self.taken.append(Taken(proof.once, proof.iat, changes))

    def _count(self, what: str, done: str, shown: set[str], status: int) -> None:
        again = bool(shown & self._shown)
        self._shown |= shown
        if _took(status):
            self.counts[f"{what} {done}"] += 1
            self._used.update(shown)
        elif status == 401:
            self.counts[f"{what} refused, {'shown before' if again else 'new'}"] += 1
        elif status == 0:
            self.counts[f"{what} without an answer"] += 1
        else:
            self.counts[f"{what} answered {status}"] += 1

    def wrong(self) -> Iterator[str]:
        """What should not have happened so far, in sentences."""
        yield from self._wrong
        yield from (f"the {name} was taken {number} times" for name, number in self._used.items() if number > 1)


def _took(status: int) -> bool:
    return 200 <= status < 500 and status not in NOT_TAKEN


def _part(token: str, number: int) -> dict[str, Any]:
    part = token.split(".")[number]
    found: dict[str, Any] = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found
