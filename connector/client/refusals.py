"""What a client of a connector raises: the connector said no, nobody answers, or nothing came of a deal.

    CarnetError
    ├── Refused     the connector said no
    ├── Away        no connector answers there
    ├── Waited      what was waited for has not come; it goes on in the connector
    └── Declined    there is no contract, or there are no data: the counterparty's word, or ours where it gave none

Each has a stable ``code``, a ``sentence`` for people and a ``remedy``. May import the error tree and the tables of remedies.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from connector.protocol.errors import CarnetError, Unavailable
from connector.remedies import by_status, parted

Document = dict[str, Any]


class Refused(CarnetError):
    """The connector said no: its own code, what it said (``detail``) and the HTTP status.

    ``detail`` is ``sentence`` and, after it, what the connector asks for. ``findings`` is all that it found, where it found
    several things, each with path, sentence, code and remedy; ``explanation`` their sentences, or the reasons of a policy;
    ``remedy`` what to do. ``document`` is the problem document itself (RFC 9457), empty where what answered sent none.
    """

    def __init__(
        self, status: int, code: str, detail: str, findings: list[Document] | None = None, document: Document | None = None
    ) -> None:
        super().__init__(code, detail)
        self.status = status
        self.detail = detail
        self.document = document or {}
        self.findings = findings or []
        self.sentence, known = parted(code, detail)
        told = self.document.get("remedy")
        found = next((str(each["remedy"]) for each in self.findings if each.get("remedy")), "")
        self.remedy: str = told if isinstance(told, str) and told else known or found or by_status(status)
        self.explanation: tuple[str, ...] = _sentences(self.document.get("explanation")) or _sentences(self.findings)


class Away(Unavailable):
    """No connector answers there."""

    @property
    def sentence(self) -> str:
        """What is the matter."""
        return parted(self.code, self.reason)[0]

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return parted(self.code, self.reason)[1] or by_status(self.status)


class Waited(CarnetError):
    """It was waited for in vain, and goes on in the connector: code ``still-waiting``."""

    status = 504

    def __init__(self, what: str) -> None:
        super().__init__("still-waiting", what)
        self.sentence = what
        self.remedy = parted(self.code, "")[1]


class Declined(CarnetError):
    """There is no contract, or there are no data: the code and the reason are the counterparty's where it gave any.

    ``explanation`` are its reasons one by one; ``process`` is the negotiation or transfer as it stands then, as the connector
    shows it, empty where none was begun.
    """

    def __init__(self, code: str, reason: str, explanation: Iterable[str] = (), process: Document | None = None) -> None:
        super().__init__(code, reason)
        self.explanation = tuple(explanation) or (reason,)
        self.process = process or {}
        # Words of the counterparty: nothing in them may pass for our advice, so that only the code decides.
        self.sentence = reason
        self.remedy = parted(code, "")[1] or by_status(403)


def _sentences(found: Any) -> tuple[str, ...]:
    """Sentences of a list of them, or of things that have one each."""
    several = found if isinstance(found, list) else []
    said = (each.get("sentence") if isinstance(each, dict) else each for each in several)
    return tuple(each for each in said if isinstance(each, str))
