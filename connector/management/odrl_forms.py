"""Policies as the management interface takes and shows them: read from any JSON-LD, kept in full ODRL, shown in two spellings.

Clients of this interface write what goes over the wire, so that a policy is read as DSP's narrow ODRL is (``policies.dsp``): what
constrains a duty says how it is done. Shown is DSP's form: with the names of its context (version 4) or with prefixes, which need
no context by address (version 3). Pure. Imports ``policies`` and the flat form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import orjson

from connector.management.documents import ODRL, invalid
from connector.management.model import EDC
from connector.protocol.messages import Document
from policies import dsp, odrl
from policies.errors import PolicyInvalid
from policies.model import Policy
from policies.names import DSP_PREFIXES

REMEMBERED: Final = 512
"""Most policies that are remembered as they are shown."""
_WORDS: Final = frozenset({"action", "leftOperand", "operator"})
_REFERENCES: Final = frozenset({"target", "assigner", "assignee", "profile"})
_RULES: Final = ("permission", "prohibition", "obligation")
_MOVED: Final = ("assigner", "target", "assignee")
_NAMELESS: Final = "urn:carnet:nameless"
"""What a policy without a name is read as."""


@dataclass(frozen=True, slots=True)
class OfferedTerms:
    """An offer as a consumer sends it: its id, whose it is, what it is about, and its rules in DSP's form (empty: as the
    provider published them)."""

    id: str
    assigner: str | None
    target: str | None
    rules: Document


def read_policy(value: Any, policy_id: str | None, path: str = "policy") -> Document:
    """A policy definition's policy, in full ODRL. Raises Invalid."""
    policy = _read(value, policy_id or _NAMELESS, path)
    return odrl.write(replace(policy, kind="Set"))


def read_offer(value: Any, path: str = "policy") -> OfferedTerms:
    """The offer in a request for a contract. Raises Invalid for one without id, or with terms that have no form in DSP."""
    policy = dsp.normal(_read(value, _NAMELESS, path))
    if policy.uid == _NAMELESS:
        raise invalid("an offer is named by its @id, as the catalogue has it", f"{path}.@id")
    assigner = None if policy.assigner is None else policy.assigner.iri
    target = None if policy.target is None else policy.target.iri
    rules: Document = {}
    if _has_rules(policy):
        try:
            document = dsp.write(replace(policy, kind="Offer"))
        except PolicyInvalid as error:
            raise invalid(error.reason, f"{path}{error.path}") from error
        rules = {name: each for name, each in document.items() if name in (*_RULES, "profile")}
    return OfferedTerms(policy.uid, assigner, target, rules)


def shown_policy(document: Mapping[str, Any]) -> Document:
    """A policy in full ODRL as it is shown: in DSP's form where it has one, else as it is kept. Not to be changed: policies are
    shown more often than they are written."""
    return _shown(orjson.dumps(document))


@lru_cache(maxsize=REMEMBERED)
def _shown(text: bytes) -> Document:
    policy = odrl.read(orjson.loads(text))
    empty: Document = {name: [] for name in _RULES}
    if not _has_rules(policy):
        return {"@id": policy.uid, "@type": "Set", **empty}
    try:
        return {**dsp.write(replace(policy, kind="Offer")), "@type": "Set"}
    except PolicyInvalid:
        return {**odrl.write(policy), "@type": "Set"}


def prefixed(policy: Document) -> Document:
    """A policy in DSP's form with prefixed names, which mean the same under any context that has ``odrl``."""
    if "@context" in policy:
        return policy
    members = {name: each for name, each in policy.items() if name not in _RULES}
    rules = {f"odrl:{name}": _prefixed_value(name, policy.get(name, [])) for name in _RULES}
    return {**_prefixed_members(members), **rules}


def _read(value: Any, policy_id: str, path: str) -> Policy:
    if not isinstance(value, dict):
        raise invalid("policy is one object", path, value)
    document: dict[str, Any] = {} if not value.keys().isdisjoint({"@id", "uid", f"{ODRL}uid"}) else {"@id": policy_id}
    for name, each in value.items():
        moved = name.removeprefix(EDC)
        # A client that names no context for them writes these two under EDC's vocabulary.
        document[f"{ODRL}{moved}" if moved != name and moved in _MOVED else name] = each
    try:
        return dsp.read(document)
    except PolicyInvalid as error:
        hint = "; a policy is written in ODRL: give it the @context of ODRL, or prefix its members with odrl:"
        in_vocabulary = any(EDC in text for text in (error.path, error.reason, *value, str(value.get("@type"))))
        raise invalid(f"{error.reason}{hint if in_vocabulary else ''}", f"{path}{error.path}") from error


def _has_rules(policy: Policy) -> bool:
    return bool(policy.permissions or policy.prohibitions or policy.obligations)


# --- prefixes --------------------------------------------------------------------------------------------------------


def _prefixed_members(node: Document) -> Document:
    out: Document = {}
    for name, value in node.items():
        if name == "@type":
            out[name] = f"odrl:{value}" if ":" not in str(value) else value
        elif name.startswith("@") or "://" in name:
            out[name] = value
        else:
            out[f"odrl:{name}"] = _prefixed_value(name, value)
    return out


def _prefixed_value(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_prefixed_value(name, each) for each in value]
    if isinstance(value, dict):
        if "@value" in value:
            return {**value, "@type": _whole(str(value["@type"]))} if "@type" in value else value
        return _prefixed_members(value)
    if name in _WORDS:
        return {"@id": _word(value)}
    return {"@id": value} if name in _REFERENCES else value


def _word(word: str) -> str:
    return f"odrl:{word}" if ":" not in word else _whole(word)


def _whole(word: str) -> str:
    """A prefixed word of DSP's, under a context that has ``odrl`` alone."""
    prefix, _, rest = word.partition(":")
    if prefix == "odrl" or prefix not in DSP_PREFIXES or rest.startswith("//"):
        return word
    return DSP_PREFIXES[prefix] + rest
