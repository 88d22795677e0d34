"""What an owner wants to offer, read and examined: nothing is published that we could not carry, keep or promise.

An offer comes as full ODRL or in DSP's form. It is read, becomes ours (we are its assigner, the dataset is its target), and is
examined for what has no form in DSP, for what nobody here enforces, for what the law forbids, and for ground that somebody has
exclusively. All that is found is said at once, each with its term, its place and what to do. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from connector.protocol.errors import CallerError
from connector.protocol.messages import Document
from policies import dsp, odrl
from policies.compile import compile_agreement
from policies.delivery import Capabilities
from policies.errors import PolicyInvalid, Problem
from policies.exclusivity import overlap
from policies.model import Action, Asset, Party, Permission, Policy
from policies.terms.actions import USE
from policies.terms.exclusivity import EXCLUSIVE

OFFERS_MOST: Final = 64
"""Most offers of one dataset (count)."""
FINDINGS_MOST: Final = 100
SAID_MOST: Final = 5
"""Findings in the sentence of a refusal; the refusal has all of them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that keeps something from being published: a code, a JSON pointer into what was given, a sentence, what to do
    about it (None: nothing that we know of), and the IRI of the term that it is about, if it is about one."""

    code: str
    path: str
    sentence: str
    remedy: str | None = None
    term: str | None = None

    def __str__(self) -> str:
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.path or '/'}: {self.sentence}{remedy}"


class PublicationRefused(CallerError):
    """Nothing was published. ``findings`` has all that is wrong, the reason the first few."""

    def __init__(self, code: str, findings: Sequence[Finding]) -> None:
        said = " | ".join(str(each) for each in findings[:SAID_MOST])
        more = f" | and {len(findings) - SAID_MOST} more" if len(findings) > SAID_MOST else ""
        super().__init__(code, f"nothing was published: {said}{more}")
        self.findings = tuple(findings[:FINDINGS_MOST])


@dataclass(frozen=True, slots=True)
class Proposal:
    """An offer as it would stand in the catalogue (``document``), and as its owner wrote it (``original``)."""

    policy: Policy
    document: Document
    original: str


def read_offer(given: Document, dataset_id: str, new_id: str) -> Policy:
    """The policy of an offer in either form; ``new_id`` is its id where it has none. Raises PolicyInvalid."""
    context = given.get("@context")
    inline = isinstance(context, dict) or (isinstance(context, list) and any(isinstance(each, dict) for each in context))
    if "uid" in given or inline:
        return odrl.read(given)
    rest = {name: value for name, value in given.items() if name not in ("@context", "@type")}
    policy = dsp.read({"@id": new_id, **rest, "@type": "Offer"})
    # Documents in DSP's form stand in datasets, and some repeat the id of theirs.
    return replace(policy, target=None) if policy.target == Asset(dataset_id) else policy


def ours(policy: Policy, dataset_id: str, participant_id: str) -> Policy:
    """The policy with us as the assigner wherever it names one, and without a target that is the dataset itself."""
    us, dataset = Party(participant_id), Asset(dataset_id)

    def mine(rule: Any) -> Any:
        changed: dict[str, Any] = {"assigner": us} if rule.assigner is not None else {}
        if rule.target == dataset:
            changed["target"] = None
        if getattr(rule, "duties", ()):
            changed["duties"] = tuple(mine(duty) for duty in rule.duties)
        return replace(rule, **changed) if changed else rule

    whole = mine(dsp.normal(policy))
    lists = ("permissions", "prohibitions", "obligations")
    changed = {name: tuple(mine(rule) for rule in getattr(whole, name)) for name in lists}
    return dsp.normal(replace(whole, **changed))


def examine(
    given: Sequence[Document],
    dataset_id: str,
    participant_id: str,
    capabilities: Capabilities,
    ids: Iterator[str],
) -> list[Proposal]:
    """The offers as they would be published. Raises PublicationRefused with everything that keeps any of them from it."""
    if len(given) > OFFERS_MOST:
        raise PublicationRefused("offers-too-many", [Finding("offers-too-many", "/offers", f"at most {OFFERS_MOST} offers")])
    proposals: list[Proposal] = []
    refused: dict[str, list[Finding]] = {}
    for index, document in enumerate(given):
        path = f"/offers/{index}"
        try:
            policy = ours(read_offer(document, dataset_id, next(ids)), dataset_id, participant_id)
        except PolicyInvalid as error:
            refused.setdefault("offer-invalid", []).append(Finding(error.code, path + error.path, error.reason))
            continue
        formless = [_finding(path, problem, {}) for problem in (*_target(policy), *dsp.without_form(policy))]
        unkept = list(_unkept(path, policy, capabilities))
        if formless:
            refused.setdefault("offer-without-form", []).extend(formless)
        if unkept:
            refused.setdefault("policy-unenforceable", []).extend(unkept)
        if not formless and not unkept:
            proposals.append(Proposal(policy, dsp.write(policy, in_dataset=True), orjson.dumps(document).decode()))
    _refuse(refused)
    apart(proposals)
    return proposals


def apart(proposals: Sequence[Proposal]) -> None:
    """Raises PublicationRefused if two offers of one dataset meet where one of them is exclusive."""
    _refuse({"exclusivity-conflict": list(_among(proposals))})


def refuse_releases(releases: Sequence[Document]) -> None:
    """Raises PublicationRefused if what an offer would release is found wrong: each release has its ``problems``."""
    found = [
        Finding(
            str(problem.get("code")),
            f"/offers/{release.get('policy', 0)}{problem.get('path', '')}",
            str(problem.get("sentence")),
            problem.get("remedy"),
        )
        for release in releases
        for problem in release.get("problems", [])
    ]
    _refuse({"release-refused": found} if found else {})


def taken(proposals: Sequence[Proposal], dataset_id: str, agreements: Sequence[str]) -> None:
    """Raises PublicationRefused if an offer meets ground of agreements (as JSON) that exclusivity keeps apart."""
    found: list[Finding] = []
    promised = [_agreement(text, dataset_id) for text in agreements]
    for index, proposal in enumerate(proposals):
        offered = replace(proposal.policy, target=Asset(dataset_id))
        met = next((met for agreement in promised if (met := overlap(offered, agreement)) is not None), None)
        if met is not None:
            said = "this ground is promised to somebody by an agreement that is in force"
            found.append(_exclusive(f"/offers/{index}{met.path}", said))
    _refuse({"exclusivity-conflict": found})


def _agreement(text: str, dataset_id: str) -> Policy:
    """The policy of an agreement. One that cannot be read any more may promise all that there is."""
    try:
        return dsp.read(orjson.loads(text))
    except PolicyInvalid:
        return Policy("Agreement", "", (Permission(Action(USE)),), target=Asset(dataset_id))


def _among(proposals: Sequence[Proposal]) -> Iterator[Finding]:
    for later, proposal in enumerate(proposals):
        for earlier in range(later):
            met = overlap(proposal.policy, proposals[earlier].policy)
            if met is not None:
                said = f"it meets /offers/{earlier}{met.other_path}, and one of the two is exclusive"
                yield _exclusive(f"/offers/{later}{met.path}", said)


def _exclusive(path: str, said: str) -> Finding:
    remedy = "bound the territory, the purpose, the period or the columns so that they do not meet"
    return Finding("exclusivity-conflict", path, said, remedy, EXCLUSIVE)


def _target(policy: Policy) -> Iterator[Problem]:
    if policy.target is not None:
        said = "the target is something else than the dataset that is published"
        yield Problem("target-other", "/target", said, "leave the target out, or publish under its id")


def _unkept(path: str, policy: Policy, capabilities: Capabilities) -> Iterator[Finding]:
    delivery = compile_agreement(policy, capabilities)
    terms = {item.path: item.term for whole in delivery.items() for item in whole.walk()}
    for problem in delivery.problems:
        yield _finding(path, problem, terms)


def _finding(path: str, problem: Problem, terms: Mapping[str, str]) -> Finding:
    about = max((at for at in terms if f"{problem.path}/".startswith(f"{at}/")), key=len, default="")
    return Finding(problem.code, path + problem.path, problem.sentence, problem.remedy, terms.get(about))


def _refuse(refused: Mapping[str, list[Finding]]) -> None:
    """Everything that is wrong, under the code of what was found first."""
    found = {code: findings for code, findings in refused.items() if findings}
    if found:
        raise PublicationRefused(next(iter(found)), [each for findings in found.values() for each in findings])
