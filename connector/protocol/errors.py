"""Whose fault it is: the one error tree of the connector.

    CarnetError
    ├── PeerError          the counterparty broke the protocol
    │   ├── BadMessage         its message is not what the endpoint takes            400
    │   ├── IllegalTransition  its message is not allowed in this state              400, remembered
    │   └── NotNow             our own unanswered message goes first: send again     409, not remembered
    ├── CallerError        our own user or program asked for something impossible    400
    │   ├── Invalid            members of its document are not what they have to be      400
    │   ├── Outdated           it has changed since the caller saw it (If-Match)         412
    │   └── Reused             another request was sent under this key                   422
    ├── PolicyDenied       a policy said no, and why                                 403 (400 towards a peer)
    ├── NotAuthenticated   nobody we know                                            401
    ├── NotFound           no such thing, or not the caller's                        404
    ├── Conflict           the state does not allow it now                           409
    ├── TooMany            a quota is used up                                        429
    ├── Unavailable        a part we need is not there now                           503
    └── InvariantBroken    we are wrong: a bug                                       500

Every error has a stable ``code`` (kebab-case) and a ``reason``, a sentence that says what to do. They are raised deep and
mapped once, in ``connector/http/problems.py``. This module imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class CarnetError(Exception):
    """Base of all expected failures. ``code`` never changes between releases; ``reason`` is for people."""

    status = 500

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class PeerError(CarnetError):
    """The counterparty broke the protocol."""

    status = 400


class BadMessage(PeerError):
    """The message cannot be taken at this endpoint, whatever the state."""


class IllegalTransition(PeerError):
    """DSP 2025-1, negotiation 3 and transfer 3: the message is not allowed in the current state, which stays as it is."""


class NotNow(PeerError):
    """Our own message is in flight and goes first; the same message will be judged anew when it is sent again."""

    status = 409


class CallerError(CarnetError):
    """The request of our own user or program cannot be carried out as it stands."""

    status = 400


class Violation(NamedTuple):
    """What is wrong with one member of a document: a sentence, where it stands, and what stood there if that can be repeated."""

    message: str
    path: str
    value: object = None


class Invalid(CallerError):
    """Members of a document are not what they have to be; each of ``violations`` is one of them."""

    def __init__(self, code: str, violations: Sequence[Violation]) -> None:
        super().__init__(code, "; ".join(each.message for each in violations) or "the document cannot be taken")
        self.violations = tuple(violations)


class Outdated(CallerError):
    """RFC 9110, 13.1.1: the thing is not any more as the caller has seen it. Read it again."""

    status = 412


class Reused(CallerError):
    """A key of idempotency names another request."""

    status = 422


class PolicyDenied(CarnetError):
    """A policy refuses; the reason names the term and what would satisfy it."""

    status = 403


class NotAuthenticated(CarnetError):
    """No identity, or one that does not hold."""

    status = 401


class NotFound(CarnetError):
    """It does not exist, or it is not the caller's: the two look the same from outside."""

    status = 404


class Conflict(CarnetError):
    """The current state does not allow it; the reason says which state would."""

    status = 409


class TooMany(CarnetError):
    """A quota is used up. ``retry_after_s`` is the number of seconds after which the next request has a chance."""

    status = 429

    def __init__(self, code: str, reason: str, retry_after_s: int = 1) -> None:
        super().__init__(code, reason)
        self.retry_after_s = retry_after_s


class Unavailable(CarnetError):
    """Something that we need is not there now; nothing was changed."""

    status = 503


class InvariantBroken(CarnetError):
    """Our own mistake. The text stays in our log, the outside sees an incident number."""
