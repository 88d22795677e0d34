"""A contract between two connectors with all that is kept of it: an offer and a counter-offer, signatures, a delivery that both
have signed for, what it costs, and a log on either side of which the other has cosigned a head.

The use cases are the real ones and everything is on disk; only the wire, the data planes and the sequencer are short.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connector.evidence.bundling import bundle
from connector.flow import acts, begin, publish
from connector.identity.did import own_document
from connector.identity.keys import Use
from connector.identity.signing import SigningKey, new_signing_key
from connector.identity.snapshots import key_of
from connector.log.access import LogAccess
from connector.log.folder import LogFolder
from connector.log.journaling import LogJournal
from connector.log.layout import ensure_salt, make_folder, write_vkeys
from connector.log.leaf import Draft, leaf_of, salted
from connector.log.note import Checkpoint, NoteSigner, body_of, cosignature, origin_of, signed, with_lines
from connector.log.payloads import Payloads
from connector.log.subjects import SubjectKeys
from connector.log.witness import witness_name
from connector.protocol.messages import Document
from connector.protocol.states import Kind
from connector.store.leaves import LeafQueue
from tests.flow.house import DATASET, Fuse, House, Street
from tests.flow.test_statements import metered, priced, serve_meters
from tests.flow.witnesses import Witnesses, fetched, settled

OFFERED = priced("ApiCall", "0.50")
ASKED: Document = {**OFFERED, "permission": [{"action": "use"}]}
COUNTERED = priced("ApiCall", "0.40")


@dataclass
class NumberedStreet(Street):
    """Ids are those of a connector: a log takes no others."""

    def new_id(self) -> str:
        """In order, unique on both sides."""
        self.number += 1
        return f"urn:uuid:00000000-0000-4000-8000-{self.number:012x}"


@dataclass
class Kept:
    """What stands beside the database of a house."""

    house: House
    log: LogAccess
    key: SigningKey
    salt: bytes
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The participant."""
        return f"did:web:{self.house.role.value}"

    @property
    def signer(self) -> NoteSigner:
        """Who signs the heads."""
        assert isinstance(self.key.private, Ed25519PrivateKey)
        return NoteSigner(origin_of(self.name), self.key.private)

    async def sequence(self) -> None:
        """Put what waits into the log, and sign its head."""
        folder, queue = self.log.folder, LeafQueue(self.house.engine)
        edge = folder.edge(folder.size())
        first = [] if edge.size else [self._first()]
        waiting = await queue.batch(10_000, 1 << 30)
        self.log.payloads.put([(each.sha256, each.payload) for each in waiting if each.sha256 and each.payload])
        edge = folder.append(edge, [*first, *(each.leaf for each in waiting)])
        folder.publish(signed(Checkpoint(self.signer.name, edge.size, edge.root()), [self.signer]))
        write_vkeys(folder.path, [self.signer.verifier])
        await queue.settle((await queue.state()).size, edge.size, [each.id for each in waiting])

    def _first(self) -> bytes:
        draft = Draft("log", {"vkey": self.signer.verifier.vkey})
        return leaf_of(draft, "urn:uuid:00000000-0000-4000-8000-ffffffffffff", self.house.street.now, self.salt, None)

    def witnessed_by(self, other: Kept) -> None:
        """The other side cosigns our newest head."""
        note = self.log.folder.checkpoint()
        assert note is not None
        by = NoteSigner(witness_name(other.signer.name), other.signer.key)
        line = cosignature(body_of(note), by, self.house.street.now // 1000)
        place = self.log.folder.path / "cosigned"
        place.mkdir(exist_ok=True)
        name = f"{self.log.folder.size()}.{salted(self.salt, 'party', other.name)}"
        (place / name).write_text(with_lines(note, [line]), encoding="utf-8")


@dataclass
class Contract:
    """A contract with all that is kept of it, on both sides."""

    street: Street
    witnesses: Witnesses
    agreement: str
    provider: Kept
    consumer: Kept

    async def bundle_of(self, kept: Kept) -> dict[str, bytes]:
        """The members of the bundle that one side makes."""
        return await bundle(kept.house.context, kept.log, self.agreement)


async def concluded(folder: Path, *, signs: bool = True, logs: bool = True, delivered: bool = True) -> Contract:
    """Negotiate, deliver, sign and log. Close the street afterwards."""
    street = NumberedStreet(Fuse())
    await street.open(folder, "street")
    witnesses = Witnesses(street)
    keys = {f"did:web:{role.value}": new_signing_key("EdDSA", "log-1") for role in street.houses}
    kept = {house: _keep(folder, house, keys[f"did:web:{role.value}"], logs) for role, house in street.houses.items()}
    await witnesses.move_in(certified=signs)
    for house in street.houses.values():
        house.seals = replace(house.seals, snapshot=_snapshots(witnesses, keys))
        await house.engine.close()
        await house.open()
    serve_meters(witnesses, None)
    await publish.publish(street.provider.context, DATASET, title="Trips", source="trips.csv", offers=[OFFERED])
    agreement = await negotiated(street)
    provider, consumer = kept[street.provider], kept[street.consumer]
    for each in (provider, consumer):
        await each.sequence()
    provider.witnessed_by(consumer)
    consumer.witnessed_by(provider)
    if delivered:
        ours, _ = await fetched(street, witnesses)
        serve_meters(witnesses, metered(witnesses, ours.id))
    for each in (provider, consumer):
        await each.sequence()
    return Contract(street, witnesses, agreement, provider, consumer)


async def negotiated(street: Street) -> str:
    """The consumer asks for other terms, the provider answers with its own, and the consumer accepts those."""
    consumer, provider = street.consumer, street.provider
    await begin.request_contract(consumer.context, counterparty="did:web:provider", dataset=DATASET, offer=ASKED)
    await settled(street)
    ours = await provider.only(Kind.NEGOTIATION)
    assert ours is not None
    await acts.offer(provider.context, ours.id, {"permission": COUNTERED["permission"]})
    await settled(street)
    theirs = await consumer.only(Kind.NEGOTIATION)
    assert theirs is not None
    if theirs.state.on_wire == "OFFERED":
        await acts.accept(consumer.context, theirs.id)
        await settled(street)
    (agreement,) = await consumer.store.agreements()
    assert agreement.state == "binding"
    return agreement.id


def _keep(folder: Path, house: House, key: SigningKey, logs: bool) -> Kept:
    place = folder / f"log-{house.role.value}"
    make_folder(place)
    log = LogAccess(LogFolder(place), Payloads(place / "payloads.db"), SubjectKeys(place / "subjects.db", lambda: b"s" * 32))
    kept = Kept(house, log, key, ensure_salt(place))
    if logs:
        now_ms, new_id = house.street.now_ms, house.street.new_id
        house.journal = LogJournal(log.subjects, kept.salt, now_ms=now_ms, new_id=new_id, wake=lambda: None)
    return kept


def _snapshots(witnesses: Witnesses, keys: Mapping[str, SigningKey]) -> Callable[[str, str], Any]:
    async def take(participant: str, kid: str) -> Document:
        published = [(Use.AGREEMENT, witnesses.keys[participant].public_jwk), (Use.LOG, keys[participant].public_jwk)]
        document = own_document(participant, published, "https://example.org", "/dsp")
        made: Document = {"participant": participant, "kid": kid, "from": "did-document", "document": document}
        made |= {"at": witnesses.street.now, "registry": {"state": "admitted", "claims": {"kind": "company", "country": "DE"}}}
        return {**made, "thumbprint": key_of(made).thumbprint}

    return take
