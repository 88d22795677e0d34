"""Messages of a peer: right ones of every type, and the ways in which they are spoiled. All by a seeded generator.

Used at the core and over HTTP. Nothing here knows what the connector makes of a message.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable
from typing import Any, Final

from connector.protocol.states import Kind, Message

Json = dict[str, Any]
CONTEXT: Final = "https://w3id.org/dspace/2025/1/context.jsonld"
USE: Final[list[Json]] = [{"action": "use"}]

# (kind, what it means) -> (type name, path below the process)
TYPES: Final[dict[tuple[Kind, Message], tuple[str, str]]] = {
    (Kind.NEGOTIATION, Message.REQUEST): ("ContractRequestMessage", "request"),
    (Kind.NEGOTIATION, Message.OFFER): ("ContractOfferMessage", "offers"),
    (Kind.NEGOTIATION, Message.ACCEPTED): ("ContractNegotiationEventMessage", "events"),
    (Kind.NEGOTIATION, Message.FINALIZED): ("ContractNegotiationEventMessage", "events"),
    (Kind.NEGOTIATION, Message.AGREEMENT): ("ContractAgreementMessage", "agreement"),
    (Kind.NEGOTIATION, Message.VERIFICATION): ("ContractAgreementVerificationMessage", "agreement/verification"),
    (Kind.NEGOTIATION, Message.TERMINATION): ("ContractNegotiationTerminationMessage", "termination"),
    (Kind.TRANSFER, Message.START): ("TransferStartMessage", "start"),
    (Kind.TRANSFER, Message.COMPLETION): ("TransferCompletionMessage", "completion"),
    (Kind.TRANSFER, Message.SUSPENSION): ("TransferSuspensionMessage", "suspension"),
    (Kind.TRANSFER, Message.TERMINATION): ("TransferTerminationMessage", "termination"),
}
MEANINGS: Final = {
    kind: tuple(meaning for its_kind, meaning in TYPES if its_kind is kind) for kind in (Kind.NEGOTIATION, Kind.TRANSFER)
}


def new_id(chance: random.Random) -> str:
    """A fresh id, of one of the forms that peers use."""
    value = str(uuid.UUID(int=chance.getrandbits(128)))
    return chance.choice([value, f"urn:uuid:{value}"])


def right(
    chance: random.Random, kind: Kind, meaning: Message, provider_pid: str, consumer_pid: str, terms: Json
) -> tuple[str, Json]:
    """(path, message) that nothing is wrong with; ``terms`` are the offer on the table, with its target and parties."""
    name, path = TYPES[kind, meaning]
    message: Json = {"@context": [CONTEXT], "@type": name, "@id": new_id(chance)}
    message |= {"providerPid": provider_pid, "consumerPid": consumer_pid}
    match meaning:
        case Message.REQUEST | Message.OFFER:
            message["offer"] = {"@type": "Offer", "@id": new_id(chance), "permission": USE, "target": terms["target"]}
        case Message.AGREEMENT:
            message["agreement"] = {**terms, "@type": "Agreement", "@id": new_id(chance), "timestamp": "2026-03-01T09:30:00.5Z"}
        case Message.ACCEPTED | Message.FINALIZED:
            message["eventType"] = meaning.value
        case Message.TERMINATION | Message.SUSPENSION if chance.random() < 0.5:
            message |= {"code": "42", "reason": ["because", {"message": "we said so"}]}
        case Message.START if chance.random() < 0.5:
            message["dataAddress"] = {"@type": "DataAddress", "endpointType": "https://w3id.org/idsa/v4.1/HTTP"}
        case _:
            pass
    return path, message


def spoiled(chance: random.Random, message: Json) -> bytes:
    """The message with one to three things wrong (or merely odd) with it."""
    document: Any = json.loads(json.dumps(message))
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        document = chance.choice(_ON_DOCUMENTS)(chance, document)
    raw = json.dumps(document, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    return chance.choice(_ON_BYTES)(chance, raw) if chance.random() < 0.2 else raw


def junk(chance: random.Random, depth: int = 3) -> Any:
    """Any JSON value, small."""
    if depth and chance.random() < 0.3:
        if chance.random() < 0.5:
            return [junk(chance, depth - 1) for _ in range(chance.randrange(4))]
        return {chance.choice(_WORDS): junk(chance, depth - 1) for _ in range(chance.randrange(4))}
    return chance.choice(
        [None, True, False, 0, -1, 1.5, 2**53, 2**70, 1e308, "", " ", "x" * 3000, "\u0000", "\ud800", "🚗", *_WORDS]
    )


_WORDS: Final = (
    *("@id", "@type", "@context", "@value", "@list", "@graph", "@reverse", "@vocab", "@none", "_:b0", "urn:x", "../a"),
    *("offer", "agreement", "providerPid", "consumerPid", "code", "reason", "eventType", "ACCEPTED", "FINALIZED", "Offer"),
    *("dspace:ContractNegotiation", "odrl:use", "permission", "target", "callbackAddress", "http://127.0.0.1:1/", "id"),
    *("ContractRequestMessage", "TransferStartMessage", "__class__", "' OR 1=1 --", "%00", "\u202e"),
)


def _objects(document: Any) -> list[Json]:
    found: list[Json] = []
    waiting: list[Any] = [document]
    for value in waiting:
        if isinstance(value, dict):
            found.append(value)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return found


def _drop(chance: random.Random, document: Any) -> Any:
    target = chance.choice(_objects(document) or [{}])
    if target:
        del target[chance.choice(list(target))]
    return document


def _replace(chance: random.Random, document: Any) -> Any:
    target = chance.choice(_objects(document) or [{}])
    if target:
        target[chance.choice(list(target))] = junk(chance)
    return document


def _add(chance: random.Random, document: Any) -> Any:
    chance.choice(_objects(document) or [{}])[chance.choice(_WORDS)] = junk(chance)
    return document


def _rename(chance: random.Random, document: Any) -> Any:
    target = chance.choice(_objects(document) or [{}])
    if target:
        name = chance.choice(list(target))
        target[chance.choice(["dspace:", "odrl:", "http://example.org/", "@"]) + name] = target.pop(name)
    return document


def _retype(chance: random.Random, document: Any) -> Any:
    return {**document, "@type": chance.choice([name for name, _ in TYPES.values()])} if isinstance(document, dict) else document


def _recontext(chance: random.Random, document: Any) -> Any:
    contexts: list[Any] = [
        *(CONTEXT, [], None, {}, [None], [CONTEXT, CONTEXT], ["https://example.org/unknown.jsonld"], ["file:///etc/passwd"]),
        *([CONTEXT, {"x": "http://x.y/"}], [CONTEXT, "https://example.org/c"], {"@vocab": "https://w3id.org/dspace/2025/1/"}),
        *([{"@import": CONTEXT}], [CONTEXT, {"providerPid": "@type"}], "", 7),
    ]
    return {**document, "@context": chance.choice(contexts)} if isinstance(document, dict) else document


def _swap(chance: random.Random, document: Any) -> Any:
    if not isinstance(document, dict):
        return document
    one, other = chance.sample(["providerPid", "consumerPid", "@id"], 2)
    return {**document, one: document.get(other), other: document.get(one)}


def _nest(chance: random.Random, document: Any) -> Any:
    inner: Any = "x"
    for _ in range(chance.choice([10, 63, 64, 65, 500])):
        inner = [inner] if chance.random() < 0.5 else {"a": inner}
    return {**document, "reason": [inner]} if isinstance(document, dict) else inner


def _wrap(chance: random.Random, document: Any) -> Any:
    return chance.choice([[document], {"@graph": [document]}, {"a": document}, [], "x", None])


_ON_DOCUMENTS: Final[tuple[Callable[[random.Random, Any], Any], ...]] = (
    *(_drop, _drop, _replace, _replace, _replace, _add, _add, _rename, _retype, _recontext, _swap, _nest, _wrap),
)


def _cut(chance: random.Random, raw: bytes) -> bytes:
    return raw[: chance.randrange(len(raw) + 1)]


def _flip(chance: random.Random, raw: bytes) -> bytes:
    at = chance.randrange(max(1, len(raw)))
    return raw[:at] + bytes([chance.randrange(256)]) + raw[at + 1 :]


def _double(_: random.Random, raw: bytes) -> bytes:
    return raw.replace(b"{", b'{"@type": "Offer",', 1)


def _garbage(chance: random.Random, _: bytes) -> bytes:
    return chance.randbytes(chance.randrange(200))


def _constant(chance: random.Random, raw: bytes) -> bytes:
    return raw[:-1] + b',"n":' + chance.choice([b"NaN", b"Infinity", b"1e999", b"-0", b"00", b"0x1", b"9" * 400]) + b"}"


_ON_BYTES: Final[tuple[Callable[[random.Random, bytes], bytes], ...]] = (_cut, _flip, _double, _garbage, _constant)
