"""All contract definitions, and the policies that they use, as of one version: which of them offer an asset, and on what terms.

Most definitions select one asset by its id, so those are found by it; the others are held against every asset. What was made of a
policy is remembered. A snapshot is never changed: a change that is only proposed is another snapshot, which becomes the known one
when the change is committed. May import the store, flow's errors and this package's terms.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

import msgspec

from connector.flow.offers import Finding, PublicationRefused
from connector.management import terms
from connector.management.leaves import Leaf, asset_place, leaves, meets, of_asset
from connector.management.model import Asset, ContractDefinition, Criterion, PolicyDefinition
from connector.management.terms import Template
from connector.protocol.errors import Conflict
from connector.store.definitions import DefinitionStore
from connector.store.projection import ProjectionStore
from policies.delivery import Capabilities
from policies.model import Policy

RACES_MOST: Final = 50
"""So often a change is tried anew where others change definitions at the same time."""
PAGE: Final = 500
REMEMBERED_MOST: Final = 10_000
"""Most offers of policies that are remembered, without ids and for sources that can do as much."""
T = TypeVar("T")


@dataclass(slots=True)
class Memory:
    """What was made of policies. Shared by snapshots under which the policies are the same."""

    policies: dict[str, PolicyDefinition] = field(default_factory=dict)
    read: dict[str, Policy] = field(default_factory=dict)
    templates: dict[tuple[str, Capabilities], Template | PublicationRefused] = field(default_factory=dict)
    access: dict[str, str | PublicationRefused] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rules:
    """The snapshot. ``by_asset`` has the ids of those that select one asset, by its id, ``others`` those of the rest.
    ``declared``: the terms that are kept here at all."""

    version: int
    store: DefinitionStore
    participant_id: str
    declared: frozenset[str]
    definitions: Mapping[str, ContractDefinition]
    by_asset: Mapping[str, frozenset[str]]
    others: frozenset[str]
    memory: Memory

    def selecting(self, asset: Asset) -> list[ContractDefinition]:
        """The contract definitions that select an asset, the oldest first."""
        found = leaves(of_asset(asset))
        candidates = (self.definitions[each] for each in self.by_asset.get(asset.id, frozenset()) | self.others)
        chosen = [each for each in candidates if _selects(each.selector, found)]
        return sorted(chosen, key=lambda each: (each.created_at, each.id))

    def with_definition(self, definition: ContractDefinition) -> Rules:
        """With another contract definition, or this one in place of the known one of its id."""
        rest = self.without_definition(definition.id)
        known = replace(rest, definitions={**rest.definitions, definition.id: definition})
        asset_id = single(definition.selector)
        if asset_id is None:
            return replace(known, others=rest.others | {definition.id})
        of_it = rest.by_asset.get(asset_id, frozenset()) | {definition.id}
        return replace(known, by_asset={**rest.by_asset, asset_id: of_it})

    def without_definition(self, definition_id: str) -> Rules:
        """Without a contract definition."""
        known = self.definitions.get(definition_id)
        if known is None:
            return self
        rest = replace(self, definitions={name: each for name, each in self.definitions.items() if name != definition_id})
        asset_id = single(known.selector)
        if asset_id is None:
            return replace(rest, others=self.others - {definition_id})
        by_asset = dict(self.by_asset)
        of_it = by_asset.pop(asset_id) - {definition_id}
        return replace(rest, by_asset={**by_asset, asset_id: of_it} if of_it else by_asset)

    def with_policy(self, policy: PolicyDefinition) -> Rules:
        """With another policy, or this one in place of the known one of its id."""
        rest = self.without_policy(policy.id)
        rest.memory.policies[policy.id] = policy
        return rest

    def without_policy(self, policy_id: str) -> Rules:
        """Without what is remembered of a policy."""
        known = self.memory
        memory = Memory(
            policies={name: each for name, each in known.policies.items() if name != policy_id},
            read={name: each for name, each in known.read.items() if name != policy_id},
            templates={key: each for key, each in known.templates.items() if key[0] != policy_id},
            access={name: each for name, each in known.access.items() if name != policy_id},
        )
        return replace(self, memory=memory)

    async def template(self, policy_id: str, able: Capabilities) -> Template:
        """What a policy offers of assets that can do as much. Raises PublicationRefused."""
        policy, memory = await self._policy(policy_id), self.memory
        key = (policy_id, able)
        if key not in memory.templates:
            if len(memory.templates) >= REMEMBERED_MOST:
                memory.templates.clear()
            original = msgspec.json.encode(memory.policies[policy_id].policy).decode()
            try:
                memory.templates[key] = terms.template(policy, original, self.participant_id, able)
            except PublicationRefused as refused:
                memory.templates[key] = PublicationRefused(refused.code, tuple(terms.within(refused.findings)))
        return _given(memory.templates[key])

    async def access(self, policy_id: str) -> str:
        """The text of an access policy; empty for one that lets everybody in. Raises PublicationRefused."""
        policy, memory = await self._policy(policy_id), self.memory
        if policy_id not in memory.access:
            try:
                memory.access[policy_id] = terms.access(policy, Capabilities(self.declared))
            except PublicationRefused as refused:
                memory.access[policy_id] = refused
        return _given(memory.access[policy_id])

    async def _policy(self, policy_id: str) -> Policy:
        memory = self.memory
        if policy_id not in memory.read:
            known = memory.policies.get(policy_id) or await self.store.policy(policy_id)
            if known is None:
                missing = Finding("policy-unknown", "", f"there is no policy {policy_id:.80}", "make it first")
                raise PublicationRefused("policy-unknown", [missing])
            memory.policies[policy_id] = known
            memory.read[policy_id] = terms.read(known.policy)
        return memory.read[policy_id]


@dataclass(slots=True)
class Known:
    """The snapshot of the last version that was seen. One for a connector; everything in it can be read again."""

    rules: Rules | None = None

    async def current(self, store: DefinitionStore, participant_id: str, declared: frozenset[str]) -> Rules:
        """The snapshot of now. Raises Conflict where others change definitions faster than they can be read."""
        projection = ProjectionStore(store.engine)
        for _ in range(RACES_MOST):
            version = await projection.version()
            if self.rules is not None and self.rules.version == version:
                return self.rules
            found = {each.id: each async for each in _all(store)}
            made = Rules(version, store, participant_id, declared, found, *_indexed(found), Memory())
            if await projection.version() == version:
                self.rules = made
                return made
        raise busy()

    def committed(self, proposed: Rules) -> None:
        """What was proposed of a version is the next one."""
        if self.rules is not None and self.rules.version == proposed.version:
            self.rules = replace(proposed, version=proposed.version + 1)


def busy() -> Conflict:
    """Too many change definitions at the same time."""
    return Conflict("definitions-busy", "others change definitions all the time; try again")


def single(selector: tuple[Criterion, ...]) -> str | None:
    """The id of the only asset that a selector can select, where it names one."""
    for each in selector:
        if each.operator == "=" and isinstance(each.right, str) and asset_place(each.path, each.left).path == ("id",):
            return each.right
    return None


async def _all(store: DefinitionStore) -> AsyncIterator[ContractDefinition]:
    last = ""
    while page := await store.definitions_after(last, PAGE):
        for each in page:
            yield each
        last = page[-1].id


def _indexed(definitions: Mapping[str, ContractDefinition]) -> tuple[dict[str, frozenset[str]], frozenset[str]]:
    by_asset, others = dict[str, set[str]](), set[str]()
    for each in definitions.values():
        asset_id = single(each.selector)
        (others if asset_id is None else by_asset.setdefault(asset_id, set())).add(each.id)
    return {name: frozenset(ids) for name, ids in by_asset.items()}, frozenset(others)


def _selects(selector: tuple[Criterion, ...], found: list[Leaf]) -> bool:
    for each in selector:
        path = asset_place(each.path, each.left).path
        if not meets(each, [leaf for leaf in found if leaf.path == path]):
            return False
    return True


def _given(found: T | PublicationRefused) -> T:
    if isinstance(found, PublicationRefused):
        raise PublicationRefused(found.code, found.findings)
    return found
