"""What is known of a person's vehicle, and what is left of it, or of a participant, once its key in the contract log is erased.

Everything is answered: what was done, and what stays, with the reason. A vehicle is named in bodies only and logged nowhere. May
import the context, the seam to the data plane and the log.
"""

from __future__ import annotations

from typing import Any, Final

from connector.flow.context import Context
from connector.flow.plane import Plane
from connector.log.leaf import Draft
from connector.log.vehicle_index import subject_name
from connector.protocol.errors import CallerError, Conflict
from connector.protocol.messages import Document
from connector.protocol.states import Role
from connector.store.engine import LostRace
from connector.store.registry import use_once

FOR_EVER_MS: Final = 3_155_760_000_000
MAX_REASON_CHARS: Final = 1000
IN_FORCE: Final = ("binding", "pending", "held")
KEPT_OF_A_VEHICLE: Final = (
    ("the ledger of consents", "that a consent was given and taken back has to be shown (GDPR, article 7(1))"),
    ("the table that data are published from", "it belongs to the systems in which it is made; erase the rows there"),
    ("lines of the contract log", "they name no vehicle; what was found by its key is found by nobody any more"),
    ("backups that were made before", "they have the key; let them run out, or make a new one and destroy them"),
)
KEPT_OF_A_PARTICIPANT: Final = (
    ("agreements, processes and receipts in the database", "contracts and what was delivered under them have to be kept by law"),
    ("lines of the contract log", "they name nobody; what stood beside them can be read by nobody any more"),
    ("its own log, and what it has of us", "it is kept by the other side"),
    ("backups that were made before", "they have the key; let them run out, or make a new one and destroy them"),
)


async def named(context: Context, vehicle: str) -> Document:
    """The pseudonym by which the log has a vehicle, and when its key was erased (ms), if it was."""
    name = await context.persons.named(_named(vehicle))
    found = await context.persons.find(subject_name(name))
    return {"pseudonym": name, "known": found is not None, "erasedAt": None if found is None else found.erased_at}


async def export(context: Context, plane: Plane, vehicle: str) -> Document:
    """All that ledger, deliveries and log say of a vehicle. Raises Unavailable."""
    about = await named(context, vehicle)
    told = await plane.ask("POST", "/carnet/subjects", {"vehicle": vehicle})
    for delivery in told.get("deliveries", []):
        agreement = None
        if "agreementId" in delivery:
            agreement = await context.store.agreement(delivery["agreementId"], delivery["counterparty"], Role.PROVIDER)
        delivery["agreementState"] = None if agreement is None else agreement.state
    lines = await context.persons.lines(about["pseudonym"])
    who = {"participant": context.participant_id, "vehicle": vehicle, "madeAt": context.now_ms()}
    return {**who, **about, **told, "log": lines}


async def erase_vehicle(context: Context, plane: Plane, vehicle: str, reason: str) -> Document:
    """Withdraw what is in force for a vehicle, and erase its key in the log. Harmless when repeated. Raises Unavailable."""
    _good(reason)
    about, done = await named(context, vehicle), list[str]()
    told = await plane.ask("POST", "/carnet/subjects", {"vehicle": vehicle})
    if told["known"]:
        asked = [request for request in told["requests"] if request["endedAt"] is None]
        for request in asked:
            await plane.ask("POST", "/carnet/requests/withdraw", {"id": request["id"]})
        withdrawn = await plane.ask("POST", "/carnet/consents/withdraw", {"vehicle": vehicle, "decided_by": "owner"})
        enrolled = [each for each in told["enrolments"] if each["ended"] is None]
        counts = {"consents": len(withdrawn["withdrawn"]), "requests of users": len(asked), "enrolments": len(enrolled)}
        done += [f"{count} {what} withdrawn" for what, count in counts.items() if count]
        buyers = sorted({each["counterparty"] for each in told["deliveries"] if "counterparty" in each})
        done += [f"{buyer} is told to erase what it holds" for buyer in buyers]
    key = await _erase(context, subject_name(about["pseudonym"]), "vehicle", {"reason": reason})
    done += [] if key is None else [f"its key in the contract log erased: {key}"]
    return {"done": done, "key": key, "kept": _kept(KEPT_OF_A_VEHICLE)}


async def erase_participant(context: Context, participant: str, reason: str, *, force: bool = False) -> Document:
    """Erase the key of the payloads of a participant in the log. Harmless when repeated.

    Raises Conflict while agreements with it are in force, unless ``force``; Unavailable.
    """
    _good(reason)
    standing = await _in_force(context, participant)
    if standing and not force:
        said = f"{len(standing)} agreements with this participant are in force; what was said about them would be lost"
        raise Conflict("agreements-in-force", said)
    key = await _erase(context, f"party:{participant}", "party", {"reason": reason, "inForce": len(standing)})
    done = [] if key is None else [f"the key of what was written with it erased: {key}"]
    return {"done": done, "key": key, "kept": _kept(KEPT_OF_A_PARTICIPANT)}


async def _erase(context: Context, subject: str, kind: str, payload: Document) -> str | None:
    """Destroy a key, and say so in the log once; whoever died in between says it the next time."""
    key = await context.persons.erase(subject)
    if key is None:
        return None
    draft = Draft("subject", {"change": "erased", "key": key, "kind": kind}, payload=payload)
    once = use_once(f"subject:{key}", context.now_ms() + FOR_EVER_MS)
    try:
        await context.store.commit([once, *await context.journal.leaves([draft])])
    except LostRace:
        return key
    context.journal.queued()
    return key


async def _in_force(context: Context, participant: str) -> list[str]:
    found: list[str] = []
    after = (0, "")
    while page := await context.store.agreements(after=after):
        found += [each.id for each in page if each.counterparty == participant and each.state in IN_FORCE]
        after = (page[-1].created_at, page[-1].id)
    return found


def _kept(what: tuple[tuple[str, str], ...]) -> list[dict[str, Any]]:
    return [{"what": name, "why": why} for name, why in what]


def _named(vehicle: str) -> str:
    if not vehicle or len(vehicle) > 128 or not vehicle.isprintable():
        raise CallerError("vehicle-invalid", "a vehicle has 1 to 128 characters, without control characters")
    return vehicle


def _good(reason: str) -> None:
    if not reason.strip() or len(reason) > MAX_REASON_CHARS:
        raise CallerError("reason-missing", f"say why, in at most {MAX_REASON_CHARS} characters")
