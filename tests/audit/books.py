"""Two connectors' logs for tests of audits, made with the parts that make real ones, and shown to each other."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connector.log.folder import LogFolder
from connector.log.layout import folder_name, replace_file, write_handover, write_vkeys
from connector.log.leaf import Draft, leaf_of, moment, salted
from connector.log.merkle import Edge
from connector.log.note import Checkpoint, NoteSigner, body_of, cosignature, signed, with_lines
from connector.log.payloads import FILE as PAYLOADS
from connector.log.payloads import Payloads
from connector.log.sealing import payload_key, sealed
from connector.log.subjects import FILE as SUBJECTS
from connector.log.subjects import SubjectKeys
from connector.log.vehicle_index import sealed_index, subject_name, vehicle_name
from connector.log.witness import witness_name

T0 = 1_900_000_000_000
SECRET = b"s" * 32


def signer(name: str, seed: int) -> NoteSigner:
    return NoteSigner(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


@dataclass
class Book:
    """A log that is written line by line. ``new_id`` is the same in each run."""

    folder: Path
    did: str = "did:web:oem.example"
    origin: str = "oem.example/log"
    seed: int = 1
    now_ms: int = T0
    signers: list[NoteSigner] = field(default_factory=list)
    edge: Edge = field(default_factory=Edge.empty)
    secret: bytes = SECRET
    numbers: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311  # ids of a test

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._closed: list[bytes] = []
        self.salt = bytes(range(32))
        replace_file(self.folder / "salt", f"{self.salt.hex()}\n".encode())
        self.log = LogFolder(self.folder)
        self.payloads = Payloads(self.folder / PAYLOADS)
        self.subjects = SubjectKeys(self.folder / SUBJECTS, lambda: self.secret)
        self.signers.append(signer(self.origin, self.seed))
        write_vkeys(self.folder, [self.key.verifier])
        self.write([Draft("log", {"vkey": self.key.verifier.vkey, "salt": folder_name(self.salt)})])

    @property
    def key(self) -> NoteSigner:
        return self.signers[-1]

    @property
    def vkey(self) -> str:
        return self.key.verifier.vkey

    def new_id(self) -> str:
        return uuid.UUID(int=self.numbers.getrandbits(128), version=4).urn

    def leaf(self, draft: Draft) -> bytes:
        self.now_ms += 1000
        leaf_id = self.new_id()
        payload = None
        if draft.payload is not None:
            name = draft.subject or (f"party:{draft.party}" if draft.party else "own")
            (key,) = self.subjects.keys([name], self.now_ms)
            payload = sealed(draft.payload, payload_key(key, leaf_id), leaf_id)
            self.payloads.put([(payload.sha256, payload.ciphertext)])
        return leaf_of(draft, leaf_id, self.now_ms, self.salt, payload)

    def write(self, drafts: Sequence[Draft]) -> None:
        """Lines, and a checkpoint of them."""
        self.put([self.leaf(draft) for draft in drafts])

    def put(self, entries: Sequence[bytes], *, old: Sequence[NoteSigner] = ()) -> None:
        self.edge = self.log.append(self.edge, entries)
        note = signed(self.checkpoint, [*old, self.key])
        if old:
            write_handover(self.folder, self.edge.size, note)
        self.log.publish(note)

    @property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.origin, self.edge.size, self.edge.root())

    def rotate(self) -> None:
        """Announce and take over the next key."""
        before, after = self.key, signer(self.origin, self.seed + len(self.signers) * 16)
        leaf = self.leaf(Draft("log-key", {"vkey": after.verifier.vkey}))
        self.signers.append(after)
        write_vkeys(self.folder, [each.verifier for each in self.signers])
        self.put([leaf], old=[before])

    def vehicles(self, *names: str) -> tuple[list[bytes], list[str]]:
        """Keys and pseudonyms of vehicles."""
        pseudonyms = [vehicle_name(self.subjects.derived, name) for name in names]
        return self.subjects.keys([subject_name(each) for each in pseudonyms], self.now_ms), pseudonyms

    def receipt(self, process: str, *vehicles: str, at: int = 0, state: str = "agreed", **said: Any) -> Draft:
        keys, _ = self.vehicles(*vehicles)
        index = sealed_index(self.subjects.derived, process, keys)
        self.payloads.put([(index.sha256, index.ciphertext)])
        members: dict[str, str | int] = {"state": state, "role": "provider", "rows": 10, "bytes": 100}
        members |= {"vehicles": index.vehicles, "index": index.sha256, "first": moment(at or self.now_ms)}
        return Draft("receipt", members, process, payload={"receipt": process}, **said)

    def cosigned_by(self, other: Book, time_s: int) -> None:
        """The other cosigns the newest checkpoint: a copy here, a copy there."""
        note = self.log.checkpoint()
        assert note is not None
        line = cosignature(body_of(note), NoteSigner(witness_name(other.origin), other.key.key), time_s)
        both = with_lines(note, [line])
        here = self.folder / "cosigned"
        here.mkdir(exist_ok=True)
        (here / f"{self.edge.size}.{salted(self.salt, 'party', other.did)}").write_text(both)
        there = other.folder / "seen" / salted(other.salt, "party", self.did)
        there.mkdir(parents=True, exist_ok=True)
        (there / str(self.edge.size)).write_text(both)

    @property
    def keys(self) -> list[bytes]:
        """Those of all subjects that were not erased."""
        return self._closed or [found.key for found in self.subjects.every() if found.key is not None]

    def close(self) -> None:
        self._closed = self.keys
        self.payloads.close()
        self.subjects.close()


CITY = "did:web:city.example"
AGREEMENT = "urn:uuid:00000000-0000-4000-8000-00000000000a"


def offer() -> dict[str, Any]:
    return {
        "@type": "Offer",
        "@id": "offer-1",
        "assigner": "did:web:oem.example",
        "permission": [
            {
                "action": "use",
                "target": "urn:asset:mileage",
                "constraint": [{"leftOperand": "purpose", "operator": "isA", "rightOperand": {"@id": "UsageBasedInsurance"}}],
                "duty": [
                    {
                        "action": "delete",
                        "constraint": [{"leftOperand": "elapsedTime", "operator": "lteq", "rightOperand": "P90D"}],
                    }
                ],
            }
        ],
    }


def whole(folder: Path, extra: int = 300, secret: bytes = SECRET) -> Book:
    """A log with a line of most types, two keys, and more lines than fit into one tile."""
    book = Book(folder, secret=secret)
    about: dict[str, Any] = {"party": CITY, "agreement": AGREEMENT, "role": "provider"}
    process, transfer = book.new_id(), book.new_id()
    book.write([Draft("participant", {"state": "admitted"}, party=CITY, payload={"id": CITY})])
    book.write(
        [
            Draft("offer", {"change": "published", "offers": 1}, asset="urn:asset:mileage", payload={"offers": [offer()]}),
            Draft("decision", {"outcome": "permitted", "step": "request", "role": "provider"}, process, CITY),
            Draft(
                "agreement",
                {"state": "made", "role": "provider"},
                process,
                asset="urn:asset:mileage",
                payload=agreement(),
                **about,
            ),
        ]
    )
    book.write([book.receipt(transfer, "WVW1", "WVW2", asset="urn:asset:mileage", **about)])
    message: dict[str, str | int] = {"direction": "in", "channel": "dsp", "message": "TransferStart", "event": "received"}
    book.write([Draft("message", message, process, CITY, payload={"n": number}) for number in range(extra)])
    book.rotate()
    book.write([Draft("termination", {"kind": "negotiation", "by": "us", "code": "ended", "role": "provider"}, process, **about)])
    book.write([Draft("consents", {"change": "withdrawn", "ledger": 3, "vehicles": 1})])
    return book


def agreement() -> dict[str, Any]:
    said = {**offer(), "@type": "Agreement", "@id": AGREEMENT, "assignee": CITY, "timestamp": "2030-03-17T17:46:40Z"}
    return {"counterparty": CITY, "dataset": "urn:asset:mileage", "agreement": said}
