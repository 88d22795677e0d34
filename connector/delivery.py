"""What an attempt to deliver means, for each of the three channels: protocol, extension messages to peers, data plane.

2xx: answered. 409: the peer has not committed yet, tried again for ``conflict_retry_s``. 404: it may be about to know the
process, tried again for ``not_found_retry_s``. 401, 429, 5xx and silence: tried again until the message's deadline. Everything
else is the peer's refusal, recorded with its body; then the peer is asked for its own state, which is adopted or the process
is ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from catalog.errors import DocumentError
from catalog.jsonld import normalise_message
from connector.dispatch import Retry
from connector.flow import answers, letters
from connector.flow.context import Context
from connector.http.caller import Caller
from connector.http.client import Answer, EgressRefused, GuardedClient, PeerUnreachable
from connector.identity.interface import Scope
from connector.metrics import Metrics
from connector.protocol.errors import BadMessage, CarnetError
from connector.protocol.messages import Document, process_path
from connector.protocol.record import Ended, Process
from connector.protocol.states import Role
from connector.settings.model import DispatchSettings
from connector.store.rows import Outgoing
from connector.telemetry import logger

_ACKNOWLEDGEMENTS: Final = frozenset({"ContractNegotiation", "TransferProcess"})
_GONE_IS_DONE: Final = frozenset({"suspend", "terminate", "completed"})
MAX_KEPT_REFUSAL_CHARS = 2000
CONFLICT_PAUSE_MS = 250
log = logger("delivery")


@dataclass(frozen=True, slots=True)
class HttpDelivery:
    """Delivers over the guarded client. ``signaling`` gives base address and token of the data plane, if it is there."""

    context: Context
    caller: Caller
    local_client: GuardedClient
    settings: DispatchSettings
    metrics: Metrics
    signaling: Callable[[], tuple[str, str] | None]

    async def attempt(self, message: Outgoing) -> None:
        """One attempt. Raises Retry."""
        match message.channel:
            case "dsp":
                await self._protocol(message)
            case "peer":
                await self._peer(message)
            case "flow":
                await self._flow(message)

    async def give_up(self, message: Outgoing) -> None:
        """The deadline has passed: the process is ended, an extension message becomes a dead letter."""
        self._count(message, "dead")
        if message.channel == "dsp":
            await answers.expired(self.context, message)
        elif message.channel == "flow":
            why = Ended(by=Role.PROVIDER, code="data-plane-away", reason=[message.last_error or "the data plane did not answer"])
            await answers.flow_refused(self.context, message, why)
        else:
            why_text = message.last_error or "no answer before the deadline"
            await letters.buried(self.context, message, "given-up", why_text)

    # -- protocol ---------------------------------------------------------------------------------------------------

    async def _protocol(self, message: Outgoing) -> None:
        answer = await self._post(message)
        if 200 <= answer.status < 300:
            await self._accepted(message, answer)
            return
        self._retry_or_pass(message, answer)
        self._count(message, "refused")
        log.info("message was refused", message=message.message, by=message.counterparty, status=answer.status)
        await answers.refused(self.context, message, _why(answer), self._peer_state)

    async def _accepted(self, message: Outgoing, answer: Answer) -> None:
        document = await _acknowledgement(answer)
        try:
            await answers.answered(self.context, message, document)
        except BadMessage as error:
            raise Retry(error.reason) from error
        self._count(message, "delivered")
        log.info("message delivered", message=message.message, to=message.counterparty, attempts=message.attempts + 1)

    async def _peer_state(self, process: Process) -> str | None:
        """The peer's own state of the process. Raises Retry if it cannot be asked now."""
        url = process.peer_address + process_path(process.kind, process.peer_pid or "")
        try:
            scope, timeout_s = Scope(process.kind.value), self.settings.attempt_timeout_s
            answer = await self.caller.request("GET", process.counterparty, url, scope, headers={}, timeout_s=timeout_s)
        except EgressRefused:
            return None
        except (PeerUnreachable, CarnetError) as error:
            raise Retry(error.reason, peer_down=True) from error
        if answer.status in (401, 429) or answer.status >= 500:
            # Not about the process: whoever does not let us ask now has not said that it knows of none.
            raise Retry(f"the peer answered {answer.status} when asked for its state", peer_down=True)
        document = await _acknowledgement(answer) if answer.status == 200 else None
        return None if document is None else document.get("state")

    # -- extension messages -----------------------------------------------------------------------------------------

    async def _peer(self, message: Outgoing) -> None:
        answer = await self._post(message)
        if 200 <= answer.status < 300:
            await letters.delivered(self.context, message)
            return
        self._retry_or_pass(message, answer)
        why = _why(answer)
        await letters.buried(self.context, message, "refused", f"{why.code}: {why.reason}"[:500])

    # -- data plane -------------------------------------------------------------------------------------------------

    async def _flow(self, message: Outgoing) -> None:
        plane = self.signaling()
        if plane is None:
            raise Retry("the data plane is not running", pause_ms=200)
        base, token = plane
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            answer = await self.local_client.request("POST", base + message.url, headers=headers, body=message.body.encode())
        except (EgressRefused, PeerUnreachable) as error:
            raise Retry(error.reason) from error
        if 200 <= answer.status < 300 or (answer.status in (404, 409) and message.message in _GONE_IS_DONE):
            await answers.flow_answered(self.context, message, _json(answer.body))
        elif answer.status in (401, 429) or answer.status >= 500:
            raise Retry(f"the data plane answered {answer.status}")
        else:
            await answers.flow_refused(self.context, message, _why(answer))

    # -- shared -----------------------------------------------------------------------------------------------------

    async def _post(self, message: Outgoing) -> Answer:
        try:
            return await self.caller.request(
                "POST",
                message.counterparty,
                message.url,
                _scope(message),
                headers={"Content-Type": "application/json", "X-Correlation-ID": message.correlation_id},
                body=message.body.encode(),
                timeout_s=self.settings.attempt_timeout_s,
            )
        except EgressRefused as error:
            return Answer(400, {}, orjson.dumps({"code": error.code, "reason": [error.reason]}))
        except (PeerUnreachable, CarnetError) as error:
            # Also where no token is to be had now: the peer's authorization server is a part of the peer.
            self._count(message, "retried")
            raise Retry(error.reason, peer_down=True) from error

    def _retry_or_pass(self, message: Outgoing, answer: Answer) -> None:
        """Raise Retry for an answer that may change; return for one that is final."""
        now, status = self.context.now_ms(), answer.status
        conflict = (message.conflict_since or now) if status == 409 else None
        missing = (message.missing_since or now) if status == 404 else None
        if conflict is not None and now - conflict >= self.settings.conflict_retry_s * 1000:
            return
        if missing is not None and now - missing >= self.settings.not_found_retry_s * 1000:
            return
        if conflict is not None or missing is not None:
            self._count(message, "retried")
            pause = min(CONFLICT_PAUSE_MS, self.settings.backoff_first_ms * 2 ** min(message.attempts, 8))
            raise Retry(f"the peer answered {status}", pause_ms=pause, conflict_since=conflict, missing_since=missing)
        if status in (401, 429) or status >= 500 or status < 400:
            # 401: it may come to know us yet (a clock, a key, an admission); nothing is lost before the message's deadline.
            self._count(message, "retried")
            raise Retry(f"the peer answered {status}", peer_down=status in (401, 429, 502, 503, 504))

    def _count(self, message: Outgoing, outcome: str) -> None:
        name = orjson.loads(message.body).get("@type", "other") if message.channel != "flow" else message.message
        kind = "transfer" if str(name).startswith("Transfer") else "negotiation"
        self.metrics.message_sent(kind, "other", str(name), outcome)


def _scope(message: Outgoing) -> Scope:
    if message.channel == "peer":
        return Scope.MESSAGES
    return Scope.TRANSFER if str(orjson.loads(message.body).get("@type", "")).startswith("Transfer") else Scope.NEGOTIATION


async def _acknowledgement(answer: Answer) -> Document | None:
    """The normalised acknowledgement in an answer; None where there is none, or nothing that we understand."""
    if not answer.body.strip():
        return None
    try:
        return await normalise_message(answer.body, _ACKNOWLEDGEMENTS)
    except DocumentError:
        return None


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _why(answer: Answer) -> Ended:
    """The peer's own words, bounded."""
    document = _json(answer.body) or {}
    reason = document.get("reason", document.get("detail"))
    items = reason if isinstance(reason, list) else [reason] if reason else []
    shown = [_kept(item, MAX_KEPT_REFUSAL_CHARS) for item in items[:10]]
    if not shown:
        body = answer.body[:MAX_KEPT_REFUSAL_CHARS].decode("utf-8", "replace")
        shown = [_kept(body, MAX_KEPT_REFUSAL_CHARS) or f"HTTP status {answer.status}"]
    return Ended(by=Role.PROVIDER, code=_kept(document.get("code", answer.status), 100), reason=list(shown))


def _kept(value: Any, most_chars: int) -> str:
    """A value of the peer's as text that any database takes. How deep it is nested is the peer's choice, too."""
    try:
        return str(value)[:most_chars].replace("\0", "\ufffd")
    except RecursionError:
        return "(nested too deeply to be shown)"
