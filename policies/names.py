"""How a document names things: ODRL's own vocabulary, prefixes, and the inline ``@context``. No JSON-LD processor, no network.

Of JSON-LD 1.1 this understands what policies are written with: prefixes, ``@vocab``, terms with ``@id``, type coercion, and
aliases of ``@id``, ``@type`` and ``@value``. Contexts by address are those of ODRL and DSP, whose names are built in. Whatever
else a context may do is refused, for it could change what the document means. Imports ``policies.errors`` and the model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from policies.errors import PolicyInvalid, below, excerpt
from policies.model import ODRL, XSD, Conflict, Logic, Operator

RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DSPACE: Final = "https://w3id.org/dspace/2025/1/"
DSP_PREFIXES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "dspace": DSPACE,
        "odrl": ODRL,
        "dcat": "http://www.w3.org/ns/dcat#",
        "dct": "http://purl.org/dc/terms/",
        "xsd": XSD,
    }
)
"""The prefixes that DSP's context declares (DSP 2025-1, section 5)."""

ODRL_CONTEXTS: Final = frozenset({"http://www.w3.org/ns/odrl.jsonld", "https://www.w3.org/ns/odrl.jsonld"})
DSP_CONTEXTS: Final = frozenset({f"{DSPACE}context.jsonld", f"{DSPACE}odrl-profile.jsonld"})


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


KINDS: Final = frozenset(ODRL + name for name in _words("Policy Set Offer Agreement Assertion Request Privacy Ticket"))
LEFT_OPERANDS: Final = _words(
    """
    absolutePosition absoluteSize absoluteSpatialPosition absoluteTemporalPosition count dateTime delayPeriod deliveryChannel
    device elapsedTime event fileFormat industry language media meteredTime payAmount percentage product purpose recipient
    relativePosition relativeSize relativeSpatialPosition relativeTemporalPosition resolution spatial spatialCoordinates system
    systemDevice timeInterval unitOfCount version virtualLocation
    """
)
ACTIONS: Final = _words(
    """
    use transfer acceptTracking aggregate annotate anonymize archive attribute compensate concurrentUse delete derive digitize
    display distribute ensureExclusivity execute extract give grantUse include index inform install modify move nextPolicy
    obtainConsent play present print read reproduce reviewPolicy sell stream synchronize textToSpeech transform translate
    uninstall watermark
    """
)
_CLASSES: Final = _words(
    """
    Rule Permission Prohibition Duty Action Asset AssetCollection Party PartyCollection Constraint LogicalConstraint LeftOperand
    Operator RightOperand
    """
)
_MEMBERS: Final = _words(
    """
    uid profile inheritFrom conflict permission prohibition obligation duty consequence remedy target assigner assignee action
    constraint refinement leftOperand operator rightOperand rightOperandReference dataType unit status source
    attributedParty attributingParty compensatedParty compensatingParty consentedParty consentingParty contractedParty
    contractingParty informedParty informingParty trackedParty trackingParty
    """
)
_STANDARD: Final = frozenset(
    {*LEFT_OPERANDS, *ACTIONS, *_CLASSES, *_MEMBERS, *Operator, *Logic, *Conflict, "policyUsage", "hasPolicy"}
    | {kind.removeprefix(ODRL) for kind in KINDS}
)
"""Names of the ODRL vocabulary that may stand without a prefix."""

_SCHEMES: Final = frozenset(_words("http https urn did tag info mailto geo ipfs"))
_ALIASED: Final = frozenset({"@id", "@type", "@value"})
_DEFINED_BY: Final = frozenset({"@id", "@type", "@container", "@protected"})
_MAX_DEFINITIONS: Final = 256
_MAX_STEPS: Final = 8
"""Longest chain of definitions that refer to each other."""

_DELIMITERS: Final = tuple(":/?#[]@")
_KEYWORD: Final = re.compile(r"@[A-Za-z]*\Z")
_ABSOLUTE: Final = re.compile(r"(https?://|urn:|did:)[^\s<>\"{}|\\^`]+\Z")
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+\Z")


def is_keyword(text: str) -> bool:
    """Whether JSON-LD reserves ``text``, so that it cannot name anything."""
    return _KEYWORD.match(text) is not None and text != "@"


@dataclass(frozen=True, slots=True)
class Names:
    """How one document names things.

    ``terms``: name to IRI, or to a keyword of which the name is an alias; those that end in a delimiter are prefixes too (JSON-LD
    1.1, section 4.1.5). ``words``: prefixes that hold for words of a vocabulary only, not for ids. ``coerced``: what the strings
    of a member are (``@id``, ``@vocab``, or the IRI of a datatype). ``standard``: whether names of ODRL may stand alone.
    ``lenient``: a word without an IRI is kept as it is, and so is a prefix that nobody declared; else both are refused, for they
    are mistakes of the author.
    """

    terms: Mapping[str, str]
    words: Mapping[str, str] = field(default_factory=dict)
    coerced: Mapping[str, str] = field(default_factory=dict)
    vocab: str | None = None
    standard: bool = True
    lenient: bool = False

    def member(self, name: str, path: str) -> str:
        """The IRI or the keyword that the member ``name`` of an object stands for. Raises PolicyInvalid `member-unknown`."""
        if name.startswith("@"):
            return name
        found = self._named(name) or self._prefixed(name, self.terms)
        if found is None and ":" in name:
            return name
        if found is None:
            raise PolicyInvalid("member-unknown", path, f"{excerpt(name)!r} is not a member of a policy")
        return found

    def word(self, text: str, path: str) -> str:
        """The IRI of a word of a vocabulary: an action, an operand, a type. Raises PolicyInvalid `name-unknown`."""
        if not text or is_keyword(text):
            raise PolicyInvalid("name-unknown", path, f"{excerpt(text)!r} does not name anything")
        found = self._named(text) or self._prefixed(text, self.terms) or self._prefixed(text, self.words)
        if found is not None and not found.startswith("@"):
            return found
        if ":" not in text and not self.lenient:
            raise PolicyInvalid(
                "name-unknown", path, f"{excerpt(text)!r} is no term of ODRL; write its IRI or declare its prefix"
            )
        return self._undeclared(text, path)

    def concept(self, text: str, path: str) -> str:
        """The IRI behind the ``@id`` of a concept: a prefix counts, a bare name does not. Raises PolicyInvalid `name-unknown`."""
        return self._undeclared(self.iri(text, path), path)

    def iri(self, text: str, path: str) -> str:
        """The IRI behind the id of a policy, a party or an asset, which need not be absolute. Raises PolicyInvalid."""
        if not text or is_keyword(text):
            raise PolicyInvalid("name-unknown", path, f"{excerpt(text)!r} is not an id")
        return self._prefixed(text, self.terms) or text

    def is_iri(self, text: str) -> bool:
        """Whether a string that may be anything looks like an IRI: ``https://``, ``urn:``, ``did:``, or a prefix and a name."""
        if self._prefixed(text, self.terms) is not None:
            return _NAME.match(text.partition(":")[2]) is not None
        return _ABSOLUTE.match(text) is not None

    def _named(self, name: str) -> str | None:
        if name in self.terms:
            return self.terms[name]
        if ":" in name:
            return None
        if self.standard and name in _STANDARD:
            return ODRL + name
        return None if self.vocab is None else self.vocab + name

    def _undeclared(self, iri: str, path: str) -> str:
        """``iri``, unless it looks like a prefix that was forgotten: such a name would match nothing, for ever and silently."""
        scheme, colon, rest = iri.partition(":")
        if colon and not self.lenient and not rest.startswith("//") and scheme not in _SCHEMES:
            raise PolicyInvalid("name-unknown", path, f"the prefix {excerpt(scheme)!r} is not declared; add it to @context")
        return iri

    @staticmethod
    def _prefixed(text: str, prefixes: Mapping[str, str]) -> str | None:
        prefix, colon, rest = text.partition(":")
        namespace = prefixes.get(prefix, "") if colon else ""
        return namespace + rest if namespace.endswith(_DELIMITERS) and not rest.startswith("//") else None


def with_context(base: Names, context: Any, path: str = "/@context") -> Names:
    """``base`` with what ``context`` (None, an address, a map, or a list of these) declares.

    Raises PolicyInvalid `context-unknown` for an address that is not ODRL's or DSP's, and `context-unsupported`.
    """
    if context is None:
        return base
    terms: dict[str, str] = {}
    definitions: dict[str, Any] = {}
    vocab, addressed = base.vocab, False
    for index, part in enumerate(context if isinstance(context, list) else [context]):
        where = below(path, index) if isinstance(context, list) else path
        if isinstance(part, str):
            terms |= _of_address(part, where)
            addressed = True
        elif isinstance(part, dict):
            vocab = _vocab(part, where) or vocab
            definitions |= {name: value for name, value in part.items() if not name.startswith("@")}
        else:
            raise PolicyInvalid("context-unsupported", where, "a context is an address or a map")
    if len(definitions) > _MAX_DEFINITIONS:
        raise PolicyInvalid("context-unsupported", path, f"more than {_MAX_DEFINITIONS} definitions")
    known = replace(base, terms={**base.terms, **terms}, vocab=vocab, standard=addressed or vocab is None)
    return _defined(known, definitions, path)


def _of_address(address: str, path: str) -> Mapping[str, str]:
    if address in DSP_CONTEXTS:
        return DSP_PREFIXES
    if address in ODRL_CONTEXTS:
        return {}
    raise PolicyInvalid("context-unknown", path, f"{excerpt(address)!r} is not fetched; declare prefixes in an inline map")


def _vocab(part: dict[str, Any], path: str) -> str | None:
    for name, value in part.items():
        if name.startswith("@") and name not in ("@vocab", "@version", "@protected"):
            raise PolicyInvalid("context-unsupported", below(path, name), f"{excerpt(name)} is not understood in a context")
        if name == "@vocab" and not (isinstance(value, str) and ":" in value):
            raise PolicyInvalid("context-unsupported", below(path, name), "@vocab must be an IRI")
    return part.get("@vocab")


def _defined(known: Names, definitions: dict[str, Any], path: str) -> Names:
    ids: dict[str, str] = {}
    types: dict[str, str] = {}
    for name, value in definitions.items():
        definition = {"@id": value} if isinstance(value, str) else value
        where = below(path, name)
        if not isinstance(definition, dict) or not definition.keys() <= _DEFINED_BY:
            raise PolicyInvalid("context-unsupported", where, "a term is a string or a map of @id, @type and @container")
        if definition.get("@container") not in (None, "@list", "@set"):
            raise PolicyInvalid("context-unsupported", where, "a container is @list or @set")
        for key, into in (("@id", ids), ("@type", types)):
            text = definition.get(key, "")
            if not isinstance(text, str):
                raise PolicyInvalid("context-unsupported", below(where, key), f"{key} must be a string")
            if text:
                into[name] = text
    resolved = {name: _resolved(known, ids, name, below(path, name)) for name in ids}
    whole = replace(known, terms={**known.terms, **resolved})
    coerced = {name: text if text.startswith("@") else whole.word(text, below(path, name)) for name, text in types.items()}
    return replace(whole, coerced={**known.coerced, **coerced})


def _resolved(known: Names, ids: Mapping[str, str], name: str, path: str) -> str:
    """The IRI of a definition, through other definitions of the same context."""
    text, rest = ids[name], ""
    for _ in range(_MAX_STEPS):
        if text.startswith("@"):
            if text not in _ALIASED or rest:
                raise PolicyInvalid("context-unsupported", path, f"an alias of {excerpt(text)} is not understood")
            return text
        prefix, colon, suffix = text.partition(":")
        if suffix.startswith("//") or prefix not in ids or text == name:
            return known.word(text, path) + rest
        text, rest = ids[prefix], (suffix if colon else "") + rest
    raise PolicyInvalid("context-unsupported", path, "its definitions lead too far")
