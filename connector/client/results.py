"""What a connector answers, as types: frozen, and each with the whole JSON document that it was made of.

A member that a newer connector adds is in ``document``; one that an older one does not have is as its default says. Times are ms
since the epoch. Pure: may import msgspec and the errors of this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import msgspec

from connector.client.refusals import Document, Refused


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of what is told inside of something else."""


class Told(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of everything that a connector tells. ``document``: all of it, as it came."""

    document: Document = {}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """From the JSON document. Raises Refused for one that is something else."""
        return cls._made({**document, "document": document})

    @classmethod
    def _made(cls, members: Mapping[str, Any]) -> Self:
        try:
            return msgspec.convert(members, cls)
        except msgspec.ValidationError as error:
            raise Refused(502, "answer-invalid", f"what answers there is no connector that we know: {error}") from error


class Status(Told, frozen=True):
    """Who the connector is, how many messages wait to be delivered, and whether its data plane is there."""

    participant_id: str
    outbox_pending: int
    data_plane: bool


class Who(Told, frozen=True):
    """Who asks: by which name, in which roles, with which scopes. ``vehicle``: of a driver, the ledger's own number of it."""

    id: str
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    vehicle: int | None = None


class Sentence(Part, frozen=True):
    """One sentence about terms: what it is about (a JSON pointer), how deeply it is nested, and what it says."""

    sentence: str
    path: str = ""
    depth: int = 0


class Finding(Part, frozen=True):
    """One thing that is wrong: where, what, its code, and what to do."""

    sentence: str
    path: str = ""
    code: str = ""
    remedy: str = ""


class Change(Part, frozen=True):
    """One change of a redline: added, removed, widened, narrowed or changed, of which term, and in a sentence."""

    kind: str
    sentence: str
    term: str = ""
    path: str = ""


class Offer(Told, frozen=True):
    """Terms on which a dataset can be had: ``document`` is the ODRL offer."""

    id: str = msgspec.field(name="@id")


class OurOffer(Told, frozen=True):
    """An offer of ours: as peers see it (``terms``), as it was written (``odrl``), and who is asked before it binds us."""

    id: str
    dataset: str
    terms: Document
    odrl: Any = None
    approval: Document | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """From the connector's answer, in which the terms are called ``document``."""
        return cls._made({**document, "terms": document.get("document"), "document": document})


class Question(Part, frozen=True):
    """One thing that a template asks: the member of ``answers``, whether it has to be given, and what it is."""

    name: str
    required: bool = False
    about: str = ""


class Template(Told, frozen=True):
    """What a record and an offer are made of once its questions are answered: ``publish(template=id, answers={...})``."""

    id: str
    about: str = ""
    questions: tuple[Question, ...] = ()
    terms: Document = {}


class Dataset(Told, frozen=True):
    """A dataset of a catalogue with its offers; ``document`` is the DCAT record."""

    id: str = msgspec.field(name="@id")
    title: str | None = None
    offers: tuple[Offer, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """From a record as catalogues have it."""
        found = next((document[name] for name in _TITLES if name in document), None)
        offers = tuple(Offer.of(each) for each in document.get("hasPolicy", []))
        return cls(id=str(document["@id"]), title=_text(found), offers=offers, document=dict(document))


_TITLES = ("http://purl.org/dc/terms/title", "dct:title")


def _text(found: Any) -> str | None:
    """A title in English where there is one, else in any language."""
    several = found if isinstance(found, list) else [found]
    texts = {each.get("@language"): each.get("@value") for each in several if isinstance(each, dict)}
    said = next((each for each in several if isinstance(each, str)), texts.get("en") or next(iter(texts.values()), None))
    return said if isinstance(said, str) else None


class Release(Part, frozen=True):
    """What an offer of a table (``policy``: which one) lets out under one of its permissions, in sentences; or why nothing."""

    policy: int = 0
    permission: int = 0
    level: str | None = None
    sentences: tuple[str, ...] = ()
    problems: tuple[Finding, ...] = ()


class Published(Told, frozen=True):
    """What was published (None: nothing, it was a look beforehand), what was found in its source, and what leaves of a table."""

    dataset: Dataset | None
    source: Document
    releases: tuple[Release, ...] = ()
    problems: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """From the answer of the connector."""
        record = document.get("dataset")
        return cls(
            dataset=None if record is None else Dataset.of(record),
            source=document["source"],
            releases=msgspec.convert(document.get("releases", []), tuple[Release, ...]),
            problems=msgspec.convert(document.get("problems", []), tuple[Finding, ...]),
            document=dict(document),
        )


class Signed(Part, frozen=True):
    """Who has signed (both, us, neither), and in one sentence what that is worth."""

    by: str
    sentence: str
    state: str | None = None


class Agreement(Told, frozen=True):
    """A contract. ``terms`` is the agreement itself, as it was agreed; ``state``: pending, binding, void or held."""

    id: str
    counterparty: str
    role: str
    negotiation: str
    dataset: str
    state: str
    created_at: int
    signed: Signed
    terms: Document

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """From the connector's answer, in which the terms are called ``document``."""
        return cls._made({**document, "terms": document.get("document"), "document": document})


class Receipt(Told, frozen=True):
    """What was delivered in a transfer (``id``), as it was signed, and where the two sides differ."""

    id: str
    receipt: str
    role: str
    counterparty: str
    agreement: str
    state: str
    content: Document
    differences: tuple[Any, ...] = ()
    key_thumbprint: str | None = None
    created_at: int = 0
    updated_at: int = 0


class Line(Part, frozen=True):
    """One line of a statement. Prices and amounts are decimal numbers as text."""

    quantity: str
    price: str | None = None
    amount: str | None = None
    currency: str | None = None
    unit: str | None = None
    path: str = ""
    receipts: dict[str, int] = {}


class Unsettled(Part, frozen=True):
    """A delivery of which the receipt is not signed by both yet."""

    transfer: str
    receipt: str


class Meters(Told, frozen=True):
    """What a contract has used: by period, and each delivery whose first byte has left."""

    agreement_id: str
    counterparty: str
    periods: tuple[Document, ...] = ()
    deliveries: tuple[Document, ...] = ()


class Statement(Told, frozen=True):
    """What is owed under an agreement: lines, sums by currency, and which deliveries are not settled."""

    agreement: str
    counterparty: str
    role: str
    lines: tuple[Line, ...] = ()
    totals: dict[str, str] = {}
    deliveries: int = 0
    unsettled: tuple[Unsettled, ...] = ()


class Duty(Told, frozen=True):
    """Something that has to be erased: ``stage`` is where it stands, ``state`` the same but ``overdue`` when its time is over."""

    id: str
    role: str
    counterparty: str
    kind: str
    agreement: str
    state: str
    stage: str
    due_at: int | None = None
    fulfilled_at: int | None = None
    late: bool = False
    outcome: Document | None = None
    attestation: str | None = None
    key_thumbprint: str | None = None


class Peer(Told, frozen=True):
    """A participant: how it stands (unverified, admitted, suspended, expelled), what is verified about it, who vouched."""

    id: str
    state: str
    addresses: tuple[str, ...] = ()
    announced: tuple[str, ...] = ()
    claims: Document = {}
    vouched_by: str | None = None
    vouched_at: int | None = None
    reason: str | None = None


class Explanation(Told, frozen=True):
    """What terms say, and how each is kept: enforced and where, evidenced, or legal only; ``problems`` cannot be kept here."""

    id: str
    kind: str
    language: str
    sentences: tuple[Sentence, ...] = ()
    delivery: tuple[Sentence, ...] = ()
    problems: tuple[Finding, ...] = ()


class Decision(Part, frozen=True):
    """What one step (catalogue, negotiation, transfer) would decide: permit or deny, with sentences."""

    scope: str
    outcome: str
    sentences: tuple[Sentence, ...] = ()


class Simulation(Told, frozen=True):
    """What a participant would get of an offer, step by step; ``hidden`` says why it does not see it."""

    id: str
    participant: str
    permitted: bool
    decisions: tuple[Decision, ...] = ()
    delivery: tuple[Sentence, ...] = ()
    problems: tuple[Finding, ...] = ()
    hidden: Finding | None = None


class Letter(Told, frozen=True):
    """A message that was given up."""

    id: str
    counterparty: str
    process: str
    message: str
    attempts: int
    last_error: str | None = None
    dead_at: int | None = None
