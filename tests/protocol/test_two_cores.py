"""Two real cores over a wire that loses, doubles, delays and reorders both messages and answers.

What :mod:`tests.protocol.test_convergence` proves of the tables in a small world, this tries on the code that uses them, with
whole messages, agreements, deadlines and the inbox's memory, in stories of any length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from catalog.canonical import canonical_bytes
from connector.protocol import messages as dsp
from connector.protocol import process as core
from connector.protocol.errors import IllegalTransition, NotNow
from connector.protocol.record import Decision, Detail, KeepAgreement, Process, Send, SettleAgreement, Withdraw
from connector.protocol.states import INITIAL, TABLES, Kind, Message, Next, Role, State, send, step
from tests.protocol.samples import ADDRESS, AGREEMENT, AGREEMENT_ID, DATASET, NAMES, OFFER, OTHER, WHY

CONSUMER, PROVIDER = Role.CONSUMER, Role.PROVIDER

ENDS = (Message.TERMINATION, Message.COMPLETION)
CALM = 0.97  # an end hides what went wrong before it, so it comes seldom

# DSP 2025-1, the diagrams of both protocols, with terminations by both sides (facts of the text, not of our tables).
EDGES: dict[Kind, set[tuple[str, str]]] = {
    Kind.NEGOTIATION: {
        ("INITIAL", "REQUESTED"), ("INITIAL", "OFFERED"), ("REQUESTED", "OFFERED"), ("REQUESTED", "AGREED"),
        ("OFFERED", "REQUESTED"), ("OFFERED", "ACCEPTED"), ("ACCEPTED", "AGREED"), ("AGREED", "VERIFIED"),
        ("VERIFIED", "FINALIZED"),
        *((state, "TERMINATED") for state in ("INITIAL", "REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED")),
    },
    Kind.TRANSFER: {
        ("INITIAL", "REQUESTED"), ("REQUESTED", "STARTED"), ("STARTED", "SUSPENDED"), ("SUSPENDED", "STARTED"),
        ("STARTED", "COMPLETED"),
        *((state, "TERMINATED") for state in ("INITIAL", "REQUESTED", "STARTED", "SUSPENDED")),
    },
}  # fmt: skip


@dataclass
class Node:
    """One side: its record, what its inbox remembers (id -> accepted), what waits in its outbox, its agreements."""

    process: Process | None = None
    inbox: dict[str, bool] = field(default_factory=dict)
    outbox: dict[str, Send] = field(default_factory=dict)
    agreements: dict[str, tuple[bytes, bool | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Copy:
    """Something on the wire: a message, or the answer to one (``accepted`` and the pid that it names)."""

    to: Role
    message_id: str
    document: dict[str, Any] | None = None
    accepted: bool = True
    pid: str | None = None


class TwoCores(RuleBasedStateMachine):
    """One negotiation or transfer between a consumer and a provider."""

    kind: ClassVar[Kind]

    def __init__(self) -> None:
        super().__init__()
        self.nodes = {role: Node() for role in Role}
        self.wire: list[Copy] = []
        self.sent: list[Copy] = []
        self.number = 0

    # -- the shell, as short as it can be -----------------------------------------------------------------------------

    def new_id(self) -> str:
        """A new message id; also the clock."""
        self.number += 1
        return f"urn:message:{self.number}"

    def new_process(self, role: Role, peer_pid: str | None) -> Process:
        """A process of ``role`` that nothing has happened to."""
        return Process(
            id=f"urn:process:{role.value}",
            kind=self.kind,
            role=role,
            state=INITIAL,
            counterparty=NAMES[OTHER[role]],
            peer_address="https://peer.example",
            correlation_id="c",
            subject=DATASET if self.kind is Kind.NEGOTIATION else AGREEMENT_ID,
            created_at=0,
            updated_at=0,
            detail=Detail(),
            peer_pid=peer_pid,
        )

    def commit(self, role: Role, decision: Decision) -> None:
        """Store what was decided, and put what has to leave on the wire."""
        node = self.nodes[role]
        self.check_edge(node.process, decision.process)
        node.process = decision.process
        for effect in decision.effects:
            match effect:
                case Send():
                    node.outbox[effect.message_id] = effect
                    self.sent.append(Copy(OTHER[role], effect.message_id, effect.document))
                    self.wire.append(self.sent[-1])
                case Withdraw(message_id):
                    node.outbox.pop(message_id, None)
                case KeepAgreement(agreement):
                    assert not node.agreements, "two agreements in one negotiation"
                    node.agreements[agreement["@id"]] = (canonical_bytes(agreement), None)
                case SettleAgreement(binding):
                    node.agreements = {
                        key: (text, binding if settled is None else settled) for key, (text, settled) in node.agreements.items()
                    }
                case _:
                    pass

    def check_edge(self, before: Process | None, after: Process) -> None:
        """The move is one edge of DSP's diagram, or two where the message that came was also the answer to ours."""
        old = "INITIAL" if before is None else before.state.on_wire
        new, edges = after.state.on_wire, EDGES[self.kind]
        if old == new or (old, new) in edges:
            return
        waited = before is not None and before.awaiting is not None
        middles = [middle for start, middle in edges if start == old]
        assert waited, f"{old} -> {new}"
        assert any((middle, new) in edges for middle in middles), f"{old} -> {new}"

    def receive(self, copy: Copy) -> None:
        """A message arrives: the inbox, then the core, then an answer on the wire."""
        node, sender = self.nodes[copy.to], OTHER[copy.to]
        assert copy.document is not None
        if copy.message_id not in node.inbox:
            message = dsp.message_of(self.kind, copy.document)
            process = node.process
            if process is None:
                peer_pid = copy.document["consumerPid" if copy.to is PROVIDER else "providerPid"]
                process = self.new_process(copy.to, peer_pid)
            try:
                decision = core.receive(process, message, copy.message_id, self.number)
            except NotNow:
                return
            except IllegalTransition:
                node.inbox[copy.message_id] = False
            else:
                node.inbox[copy.message_id] = True
                self.commit(copy.to, decision)
        assert node.process is not None
        self.wire.append(Copy(sender, copy.message_id, None, node.inbox[copy.message_id], node.process.id))

    def answered(self, copy: Copy) -> None:
        """An answer arrives: after a refusal, the peer is asked for its state."""
        process, peer = self.nodes[copy.to].process, self.nodes[OTHER[copy.to]].process
        assert process is not None
        assert peer is not None
        if copy.accepted:
            decision = core.acknowledged(process, copy.message_id, copy.pid, self.new_id(), self.number)
        else:
            state = peer.state.on_wire
            decision = core.refused(process, copy.message_id, state, WHY, self.new_id(), self.number)
        if decision is not None:
            self.commit(copy.to, decision)

    def arrive(self, copy: Copy) -> None:
        """Whatever it is, it is there."""
        if copy.document is None:
            self.answered(copy)
        else:
            self.receive(copy)

    def drain(self) -> None:
        """The wire at its best: everything arrives in order."""
        while self.wire:
            self.arrive(self.wire.pop(0))

    def choices(self, role: Role) -> list[Message]:
        """What ``role`` could send now."""
        process = self.nodes[role].process
        if process is None:
            return []
        rows = TABLES[self.kind, role].get((process.state, process.awaiting), {})
        return [event.message for event in rows if event.what == "send" and event.message is not None]

    def say(self, role: Role, what: Message) -> None:
        """``role`` wants to send."""
        process = self.nodes[role].process
        assert process is not None
        message_id = self.new_id()
        offer = process.detail.offer or OFFER
        if what in (Message.REQUEST, Message.OFFER):
            offer = {**OFFER, "@id": f"urn:offer:{self.number}", "permission": [{"action": "use", "count": self.number}]}
        content = {
            "offer": offer,
            "agreement": {**AGREEMENT, "@id": f"urn:agreement:{self.number}", "permission": offer["permission"]},
            "code": f"code-{self.number}",
            "reason": ["as I like"],
            "data_address": ADDRESS,
            "callback_address": "https://own.example",
            "format": "HttpData-PULL",
        }
        self.commit(role, core.want(process, what, content, message_id, self.number))

    # -- what can happen ----------------------------------------------------------------------------------------------

    @initialize(provider_first=st.booleans(), prelude=st.lists(st.randoms(use_true_random=False), max_size=6))
    def begin(self, provider_first: bool, prelude: Sequence[Random]) -> None:
        """Either side begins a negotiation, the consumer a transfer; all goes well until trouble begins."""
        first = PROVIDER if provider_first and self.kind is Kind.NEGOTIATION else CONSUMER
        self.nodes[first].process = self.new_process(first, None)
        self.say(first, Message.OFFER if first is PROVIDER else Message.REQUEST)
        for chance in prelude:
            self.drain()
            possible = [(role, what) for role in Role for what in self.choices(role) if what not in ENDS]
            if possible:
                self.say(*chance.choice(possible))

    @rule(role=st.sampled_from(Role), chance=st.randoms(use_true_random=False))
    def act(self, role: Role, chance: Random) -> None:
        """Somebody decides something; an end less often than anything else."""
        choices = self.choices(role)
        calm = [what for what in choices if what not in ENDS]
        if calm and chance.random() < CALM:
            choices = calm
        if choices:
            self.say(role, chance.choice(choices))

    @precondition(lambda self: self.wire)
    @rule(data=st.data(), doubled=st.booleans())
    def deliver(self, data: st.DataObject, doubled: bool) -> None:
        """Any copy arrives, in any order; it may arrive again later."""
        index = data.draw(st.integers(0, len(self.wire) - 1), "which")
        copy = self.wire[index] if doubled else self.wire.pop(index)
        self.arrive(copy)

    @rule(chance=st.randoms(use_true_random=False))
    def cross(self, chance: Random) -> None:
        """Both decide something at the same time."""
        for role in Role:
            self.act(role, chance)

    @precondition(lambda self: self.wire)
    @rule(backwards=st.booleans())
    def deliver_all(self, backwards: bool) -> None:
        """The wire at its best, or all upside down."""
        if backwards:
            self.wire.reverse()
        self.drain()

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        """A copy of a message of long ago arrives; most often of a recent one."""
        self.arrive(self.sent[-1 - data.draw(st.integers(0, len(self.sent) - 1), "how old")])

    @precondition(lambda self: self.wire)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        """A copy is lost."""
        self.wire.pop(data.draw(st.integers(0, len(self.wire) - 1), "which"))

    @rule(role=st.sampled_from(Role))
    def retry(self, role: Role) -> None:
        """What was not answered is sent again."""
        for held in self.nodes[role].outbox.values():
            self.wire.append(Copy(OTHER[role], held.message_id, held.document))

    @rule(role=st.sampled_from(Role), chance=st.randoms(use_true_random=False))
    def expire(self, role: Role, chance: Random) -> None:
        """No answer before the deadline. A first message is left out (the peer's own deadline ends what it began), and a
        termination too (it becomes a dead letter for a person)."""
        process = self.nodes[role].process
        if process is None or process.state is INITIAL or process.awaiting in (None, Message.TERMINATION):
            return
        if chance.random() < CALM:
            return
        assert process.awaiting_id is not None
        decision = core.expired(process, process.awaiting_id, self.new_id(), self.number)
        assert decision is not None
        self.commit(role, decision)

    # -- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def outboxes_hold_what_is_awaited(self) -> None:
        """Exactly the message in flight waits to be sent again."""
        for node in self.nodes.values():
            if node.process is not None:
                awaited = [] if node.process.awaiting_id is None else [node.process.awaiting_id]
                assert list(node.outbox) == awaited

    @invariant()
    def a_binding_agreement_is_the_same_on_both_sides(self) -> None:
        """Whoever holds a binding agreement can be sure that the other holds the same bytes."""
        texts = [text for node in self.nodes.values() for text, binding in node.agreements.values() if binding]
        assert all(one == other for one, other in pairwise(texts))

    @rule()
    def get_well(self) -> None:
        """Everything arrives, with retries, and what the provider owes is sent: both must be at the same place."""
        for _ in range(40):
            provider = self.nodes[PROVIDER].process
            self.drain()
            if provider is not None and provider.state is State.RESUMED and Message.START in self.choices(PROVIDER):
                self.say(PROVIDER, Message.START)
            for role in Role:
                self.retry(role)
            if not self.wire:
                break
        self.check_rest()

    def teardown(self) -> None:
        """Whatever happened, it ends well."""
        if self.number:
            self.get_well()

    def check_rest(self) -> None:
        """Both at the same place, with the same agreement, settled alike where there is an end."""
        consumer, provider = self.nodes[CONSUMER].process, self.nodes[PROVIDER].process
        assert not self.wire, "never comes to rest"
        assert consumer is not None
        assert provider is not None
        assert consumer.awaiting is None
        assert provider.awaiting is None
        assert consumer.state.on_wire == provider.state.on_wire
        mine, theirs = self.nodes[CONSUMER].agreements, self.nodes[PROVIDER].agreements
        if consumer.state is State.FINALIZED:
            assert len(mine) == 1
            assert mine == theirs
            assert all(binding is True for _, binding in mine.values())
        elif consumer.state in (State.AGREED, State.VERIFIED):
            assert len(mine) == 1
            assert mine == theirs
            assert all(binding is None for _, binding in mine.values())
        else:
            assert all(binding is False for held in (mine, theirs) for _, binding in held.values())


class TwoNegotiations(TwoCores):
    """See :class:`TwoCores`."""

    kind = Kind.NEGOTIATION


class TwoTransfers(TwoCores):
    """See :class:`TwoCores`."""

    kind = Kind.TRANSFER


BOUNDS = settings(
    max_examples=300,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TwoNegotiations.TestCase.settings = BOUNDS
TwoTransfers.TestCase.settings = BOUNDS
TestTwoNegotiations = TwoNegotiations.TestCase
TestTwoTransfers = TwoTransfers.TestCase


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("machine", [TwoNegotiations, TwoTransfers])
def test_many_more_stories(machine: type[TwoCores]) -> None:
    run_state_machine_as_test(machine, settings=settings(BOUNDS, max_examples=4000))


@pytest.mark.parametrize("kind", Kind)
def test_the_machine_itself_reaches_the_good_end(kind: Kind) -> None:
    """Without any trouble on the wire the story above ends well: the machine is not vacuous."""
    machine: TwoCores = TwoNegotiations() if kind is Kind.NEGOTIATION else TwoTransfers()
    machine.begin(provider_first=False, prelude=[])
    story = [(PROVIDER, Message.AGREEMENT), (CONSUMER, Message.VERIFICATION), (PROVIDER, Message.FINALIZED)]
    if kind is Kind.TRANSFER:
        story = [(PROVIDER, Message.START), (CONSUMER, Message.SUSPENSION), (CONSUMER, Message.START), (PROVIDER, Message.START)]
        story.append((CONSUMER, Message.COMPLETION))
    for role, what in story:
        machine.drain()
        process = machine.nodes[role].process
        assert process is not None
        assert isinstance(step(kind, role, process.state, process.awaiting, send(what)), Next)
        machine.say(role, what)
    machine.teardown()
    process = machine.nodes[CONSUMER].process
    assert process is not None
    assert process.state is (State.FINALIZED if kind is Kind.NEGOTIATION else State.COMPLETED)
