"""The contract for people: one page that stands alone, fit to print, made from the agreement by what enforces it.

No script, no address that is fetched, no font of others; what parties have written is escaped. The same members give the same
bytes. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from typing import Any, Final

import orjson

from connector.evidence.words import WORDS
from connector.flow.told import policy_told
from policies import dsp
from policies.delivery import Capabilities
from policies.errors import PolicyInvalid
from policies.explain import Reader
from policies.terms.term import Language

Document = dict[str, Any]
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE: Final = """
:root { color-scheme: light; }
body { font: 11pt/1.5 Georgia, 'Times New Roman', serif; color: #1a1a1a; background: #fff; max-width: 42rem; margin: 2rem auto;
  padding: 0 1.2rem; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; border-bottom: 1px solid #999; padding-bottom: .2rem; break-after: avoid; }
p.note { color: #444; font-size: .92em; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #ddd; }
th { font-weight: normal; color: #444; width: 30%; }
ul.terms { list-style: none; padding: 0; margin: 0; }
ul.terms li { margin: .25rem 0; break-inside: avoid; }
.d1 { padding-left: 1.4rem; } .d2 { padding-left: 2.8rem; } .d3 { padding-left: 4.2rem; } .d4 { padding-left: 5.6rem; }
code { font: .85em/1.4 ui-monospace, 'DejaVu Sans Mono', monospace; }
@page { size: A4; margin: 20mm 18mm; }
@media print { body { max-width: none; margin: 0; padding: 0; font-size: 10pt; } a { color: inherit; text-decoration: none; } }
"""


@dataclass(frozen=True, slots=True)
class Signer:
    """Who has signed: participant, thumbprint of the key, and when, as the signer says (s since the epoch)."""

    participant: str
    thumbprint: str
    at_s: int


@dataclass(frozen=True, slots=True)
class Contract:
    """What a page is made of. ``agreement``: its exact bytes. ``facts``: the member contract.json. ``claims``: what the register
    had of each party at signing. ``history``: the offers with their redlines."""

    agreement: bytes
    facts: Document
    claims: Mapping[str, Document]
    signers: Sequence[Signer]
    history: Sequence[Document]


def contract_page(contract: Contract, language: Language) -> bytes:
    """The page in one language, as UTF-8."""
    facts = contract.facts
    say = _Words(language)
    body = [
        f"<h1>{say('title')}</h1>",
        f'<p class="note">{say("reading")}</p>',
        *_section(say("parties"), _parties(contract, say)),
        *_section(say("data"), _table(_data(facts, say))),
        *_section(say("dates"), _table(_dates(contract, say))),
        *_terms(contract, say),
        *_section(say("offers"), _history(contract.history, say)),
        *_section(say("signatures"), _signatures(contract, say)),
        f'<p class="note">{say("exported")}: {_moment(facts["exportedAt"])}</p>',
    ]
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{say("title")}: {_text(facts["agreement"])}'
        f"</title><style>{_STYLE}</style>"
    )
    page = f'<!DOCTYPE html>\n<html lang="{language}"><head>{head}</head>\n<body>\n' + "\n".join(body) + "\n</body></html>\n"
    return page.encode("utf-8", "replace")


class _Words:
    """The fixed words in one language, escaped."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, word: str) -> str:
        return escape(WORDS[word][self.language])

    def known(self, word: str) -> str:
        """A word that somebody else has chosen: in this language where we know it."""
        return self(word) if word in WORDS else _text(word)


def _section(title: str, inner: Iterable[str]) -> Iterator[str]:
    yield f"<section><h2>{title}</h2>"
    yield from inner
    yield "</section>"


def _table(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield "<table>"
    for name, value in rows:
        yield f'<tr><th scope="row">{name}</th><td>{value}</td></tr>'
    yield "</table>"


def _parties(contract: Contract, say: _Words) -> Iterator[str]:
    facts = contract.facts
    ours, theirs = facts["us"], facts["counterparty"]
    provider, consumer = (ours, theirs) if facts["role"] == "provider" else (theirs, ours)
    rows: list[tuple[str, str]] = []
    for role, participant in (("provider", provider), ("consumer", consumer)):
        rows.append((say(role), f"<code>{_text(participant)}</code>"))
        claims = contract.claims.get(participant) or {}
        told = [f"{say(name)}: {_claim(claims[name], say)}" for name in _CLAIMS if claims.get(name)]
        if told:
            rows.append((say("recognised"), "; ".join(told)))
    yield from _table(rows)


_CLAIMS: Final = ("kind", "sector", "country", "membership", "gatekeeper")


def _claim(value: Any, say: _Words) -> str:
    if value is True:
        return say("yes")
    return ", ".join(map(_text, value)) if isinstance(value, list) else say.known(str(value))


def _data(facts: Document, say: _Words) -> Iterator[tuple[str, str]]:
    yield say("dataset"), f"<code>{_text(facts['dataset'])}</code>"
    if facts.get("title"):
        yield say("name"), _text(facts["title"])


def _dates(contract: Contract, say: _Words) -> Iterator[tuple[str, str]]:
    facts, agreement = contract.facts, orjson.loads(contract.agreement)
    yield say("agreement"), f"<code>{_text(facts['agreement'])}</code>"
    if agreement.get("timestamp"):
        yield say("made"), _text(agreement["timestamp"])
    yield say("recorded"), _moment(facts["createdAt"])
    yield say("state"), say.known(facts["state"])
    yield say("digest"), f"<code>{sha256(contract.agreement).hexdigest()}</code>"


def _terms(contract: Contract, say: _Words) -> Iterator[str]:
    able = contract.facts["capabilities"]
    try:
        policy = dsp.read(orjson.loads(contract.agreement))
    except PolicyInvalid:
        yield from _section(say("terms"), [f"<p>{say('unread')}</p>"])
        return
    told = policy_told(policy, capabilities(able), Reader(say.language))
    yield from _section(say("terms"), _nested(told["sentences"]))
    kept = [f'<p class="note">{say("keptHere")}</p>', *_nested(told["delivery"])]
    yield from _section(say("kept"), kept)
    if told["problems"]:
        found = ({"depth": 0, "sentence": f"{each['path'] or '/'}: {each['sentence']}"} for each in told["problems"])
        yield from _section(say("problems"), _nested(found))


def _nested(sentences: Iterable[Document]) -> Iterator[str]:
    yield '<ul class="terms">'
    for each in sentences:
        yield f'<li class="d{min(each["depth"], 4)}">{_text(each["sentence"])}</li>'
    yield "</ul>"


def _history(history: Sequence[Document], say: _Words) -> Iterator[str]:
    for each in history:
        last = each["from"] == "agreement"
        who = say("agreement") if last else f"{say('offer')} {each['number']}, {say.known(each['by'] or '')}"
        yield f"<p>{who}{', ' + _text(each['at']) if each['at'] else ''}</p>"
        said = [{"depth": 1, "sentence": _in(say.language, change)} for change in each["redline"]]
        if said:
            yield from _nested(said)
        elif each["number"] > 1:
            yield f'<p class="note d1">{say("same")}</p>'


def _in(language: Language, change: Document) -> str:
    return str((change.get("sentences") or {}).get(language) or change["sentence"])


def _signatures(contract: Contract, say: _Words) -> Iterator[str]:
    level = contract.facts["evidence"]
    yield f"<p>{say(level if level in WORDS else 'unsigned')}</p>"
    for each in contract.signers:
        yield from _table(
            [
                (say("signed"), f"<code>{_text(each.participant)}</code>, {_moment(each.at_s * 1000)}"),
                (say("key"), f"<code>{_text(each.thumbprint)}</code>"),
            ]
        )


def capabilities(told: Document) -> Capabilities:
    """What the exporter's data plane could do with the data, as contract.json has it."""
    columns, formats, unicity = told.get("columns"), told.get("formats"), told.get("unicity")
    return Capabilities(
        terms=frozenset(told["terms"]),
        columns=None if columns is None else frozenset(columns),
        sampling_interval_ms=told.get("samplingIntervalMs"),
        formats=None if formats is None else frozenset(formats),
        rule_sets=frozenset(told.get("ruleSets", [])),
        unicity=None if unicity is None else (unicity[0], unicity[1]),
    )


def capabilities_told(able: Capabilities) -> Document:
    """The same as JSON, in an order that does not change."""
    return {
        "terms": sorted(able.terms),
        "columns": None if able.columns is None else sorted(able.columns),
        "samplingIntervalMs": able.sampling_interval_ms,
        "formats": None if able.formats is None else sorted(able.formats),
        "ruleSets": sorted(able.rule_sets),
        "unicity": None if able.unicity is None else list(able.unicity),
    }


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _text(value: Any) -> str:
    """What somebody has written, as text of a page."""
    return escape("".join(each if each.isprintable() else "\ufffd" for each in str(value)))
