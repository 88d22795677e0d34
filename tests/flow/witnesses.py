"""Two houses that sign: their keys, their data planes' records, and a transfer between them whose data have come."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from connector.flow import answers, begin, timers
from connector.flow.seals import Seals
from connector.identity.certificate import self_signed
from connector.identity.gate import PublicKey, public_key
from connector.identity.signers import KeyAway
from connector.identity.signing import SigningKey, new_signing_key
from connector.protocol.errors import CallerError, Unavailable
from connector.protocol.messages import Document
from connector.protocol.record import Process
from connector.protocol.states import Kind, Role, State
from tests.flow.house import DATASET, OFFER, House, Street

REPORT: Document = {
    "bytes": 4096,
    "sha256": "ab" * 32,
    "rows": 120,
    "rowsDigest": "cd" * 32,
    "planDigest": "ef" * 32,
    "ledger": 7,
    "format": "parquet",
    "verified": True,
}


class Witnesses:
    """The keys of both houses, and what their data planes have on record. ``away``: whose keys cannot be found now."""

    def __init__(self, street: Street) -> None:
        self.street = street
        self.keys: dict[str, SigningKey] = {}
        self.certificates: dict[str, str] = {}
        self.away: set[str] = set()
        self.records: dict[str, Document] = {}
        self.plane_away = False

    async def move_in(self, *, certified: bool = False) -> None:
        """Give both houses their keys, ``certified`` ones for agreements, too, and open them again."""
        for role, house in self.street.houses.items():
            name = f"did:web:{role.value}"
            self.keys[name] = new_signing_key("ES256", "agreement-1")
            self.certificates[name] = self.certificate(self.keys[name], name) if certified else ""
            house.seals = Seals(
                own=self._own(name),
                key_of=self.key_of,
                ask=self._ask,
                erasure_ms=3_600_000,
                certificate=self._certified(name),
            )
            await house.engine.close()
            await house.open()

    def certificate(self, key: SigningKey, name: str) -> str:
        """A certificate of now for a key."""
        assert isinstance(key.private, EllipticCurvePrivateKey)
        return self_signed(key.private, name, self.street.now)

    def _certified(self, name: str) -> Any:
        return lambda: self.certificates[name]

    def _own(self, name: str) -> Any:
        return lambda: (self.keys[name], f"{name}#agreement-1")

    async def key_of(self, participant: str, kid: str) -> PublicKey:
        """The key of one of them, by its full name. Raises KeyAway."""
        if participant in self.away or kid != f"{participant}#agreement-1":
            raise KeyAway("signer-key-away", "not now")
        return public_key(dict(self.keys[participant].public_jwk))

    async def _ask(self, method: str, path: str, _: Document | None = None) -> Document:
        if self.plane_away:
            raise Unavailable("data-plane-away", "not now")
        transfer = path.rpartition("/")[2]
        if transfer not in self.records:
            raise CallerError("delivery-unknown", "no such delivery")
        return self.records[transfer]


async def settled(street: Street) -> None:
    """Until nothing is on its way and no evidence is due."""
    for _ in range(60):
        await street.pump()
        fired = False
        for house in street.houses.values():
            for timer in await house.store.timers_due(street.now_ms()):
                fired = True
                await house.surviving(lambda house=house, timer=timer: timers.reached(house.context, timer))  # type: ignore[misc]
        if not fired and await street.quiet():
            return
    raise AssertionError("it does not come to rest")


async def transfer_of(house: House) -> Process:
    process = await house.only(Kind.TRANSFER)
    assert process is not None
    return process


async def started(street: Street, offer: Document | None = None, sink: str | None = "trips.parquet") -> tuple[Process, Process]:
    """A transfer that runs: the provider's side and the consumer's."""
    consumer = street.consumer
    if await consumer.only(Kind.NEGOTIATION) is None:
        asked = offer or OFFER
        await begin.request_contract(consumer.context, counterparty="did:web:provider", dataset=DATASET, offer=asked)
    await settled(street)
    (agreement,) = await consumer.store.agreements()
    await begin.request_transfer(consumer.context, agreement_id=agreement.id, sink=sink)
    await settled(street)
    ours, theirs = await transfer_of(street.provider), await transfer_of(consumer)
    assert (ours.state, theirs.state) == (State.STARTED, State.STARTED)
    return ours, theirs


async def fetched(
    street: Street, witnesses: Witnesses, *, offer: Document | None = None, **otherwise: Any
) -> tuple[Process, Process]:
    """The consumer's data plane has reported what it got; the provider's has the same on record, but for ``otherwise``."""
    ours, theirs = await started(street, offer)
    record = {name: REPORT[name] for name in ("bytes", "sha256", "rows", "rowsDigest", "planDigest", "ledger")}
    parties = {"transfer": ours.id, "agreementId": ours.subject, "counterparty": "did:web:consumer"}
    witnesses.records[ours.id] = {
        **record,
        **parties,
        "meters": {"calls": 1, "rows": 120},
        "firstByteAt": street.now,
        **otherwise,
    }
    await answers.flow_reported(street.consumer.context, theirs.id, "completed", REPORT)
    await settled(street)
    return ours, theirs


async def lines(house: House, process: Process) -> list[str]:
    """What the timeline of a process says."""
    return [line.what for line in await house.store.timeline(process.id)]


def role_of(name: str) -> Role:
    return Role(name.rpartition(":")[2])
