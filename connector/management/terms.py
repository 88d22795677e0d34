"""Policies of definitions as Carnet offers them: a contract policy becomes an offer, an access policy decides who sees that.

As its first speakers mean it, a policy that permits nothing permits use, and whatever kind and target it has, it is an offer of
the asset that it is used for. Nothing else is added or left out. Pure. May import flow's offers and the policies.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from connector.flow.offers import Finding, Proposal, PublicationRefused, examine, read_offer
from connector.protocol.errors import CallerError
from policies import odrl
from policies.compile import compile_agreement
from policies.delivery import Capabilities
from policies.errors import PolicyInvalid
from policies.model import Action, Permission, Policy
from policies.terms.actions import USE

KINDS: Final = frozenset({"Agreement", "Offer", "Policy", "Set"})
"""Kinds of policies that may be offered."""
UNNAMED: Final = "urn:carnet:policy"
"""The id of a policy that is not an offer yet."""
_NAMES: Final = frozenset({"@id", "uid", "http://www.w3.org/ns/odrl/2/uid"})


@dataclass(frozen=True, slots=True)
class Template:
    """A policy examined for all assets with the same abilities: the offer but for its id. ``digest`` is of its terms."""

    proposal: Proposal
    digest: str

    def offered(self, definition_id: str, asset_id: str) -> Proposal:
        """The offer of one asset under one contract definition."""
        offer_id = ":".join(_coded(part) for part in (definition_id, asset_id, self.digest))
        made = self.proposal
        return replace(made, policy=replace(made.policy, uid=offer_id), document={**made.document, "@id": offer_id})


def read(document: Mapping[str, Any]) -> Policy:
    """What a policy definition says, as something that can be offered. Raises CallerError."""
    _check_kind(document.get("@type", "Set"))
    unnamed = {name: value for name, value in document.items() if name not in _NAMES and name != "@type"}
    try:
        policy = read_offer({**unnamed, "@id": UNNAMED}, "", UNNAMED)
    except PolicyInvalid as error:
        raise PublicationRefused("policy-invalid", [Finding(error.code, f"/policy{error.path}", error.reason)]) from error
    permissions = tuple(map(_used, policy.permissions)) or (Permission(Action(USE)),)
    return replace(policy, kind="Offer", target=None, permissions=permissions)


def _check_kind(given: Any) -> None:
    for each in given if isinstance(given, list) else [given]:
        kind = re.split("[/:]", each)[-1] if isinstance(each, str) else ""
        if kind not in KINDS:
            raise CallerError("policy-kind", f"a policy is one of {', '.join(sorted(KINDS))}; {kind:.40} cannot be offered")


def template(policy: Policy, original: str, participant_id: str, able: Capabilities) -> Template:
    """The offer that a policy makes of any asset that can do as much. Raises PublicationRefused with all that is wrong."""
    ids = iter(lambda: UNNAMED, None)
    proposal = examine([odrl.write(policy)], "", participant_id, able, ids)[0]
    terms = {name: value for name, value in proposal.document.items() if name != "@id"}
    digest = hashlib.sha256(orjson.dumps(terms, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
    return Template(replace(proposal, original=original), digest)


def findings(policy: Policy, participant_id: str, able: Capabilities) -> tuple[Finding, ...]:
    """All that keeps a policy from being offered, with paths into the policy."""
    try:
        template(policy, "", participant_id, able)
    except PublicationRefused as refused:
        return tuple(within(refused.findings))
    return ()


def within(found: tuple[Finding, ...]) -> Iterator[Finding]:
    """Findings about the only offer, with paths into its policy."""
    for each in found:
        yield replace(each, path=each.path.removeprefix("/offers/0"))


def access(policy: Policy, able: Capabilities) -> str:
    """An access policy as it is kept beside an offer: full ODRL as text; empty for one that lets everybody in.

    Raises PublicationRefused for one that nobody here can decide.
    """
    if _lets_all(policy):
        return ""
    problems = compile_agreement(policy, able).problems
    if problems:
        found = [Finding(each.code, each.path, each.sentence, each.remedy) for each in problems]
        raise PublicationRefused("policy-unenforceable", found)
    return orjson.dumps(odrl.write(policy), option=orjson.OPT_SORT_KEYS).decode()


def _lets_all(policy: Policy) -> bool:
    """Whether a policy permits everybody to read, whatever they are."""
    if policy.prohibitions or policy.obligations or policy.profiles or policy.inherits or policy.assigner or policy.assignee:
        return False
    return any(_bare(each) for each in policy.permissions)


def _bare(permission: Permission) -> bool:
    return permission == Permission(permission.action) and permission.action == Action(USE)


def _used(permission: Permission) -> Permission:
    """``USE``, as older clients write it, is ODRL's ``use``."""
    loud = permission.action.iri.rpartition("/")[2] == "USE"
    return replace(permission, action=replace(permission.action, iri=USE)) if loud else permission


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
