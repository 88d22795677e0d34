"""A bundle that somebody has changed: every member, in every way, with and without the exporter's key; the place is named."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from catalog.canonical import canonical_bytes
from connector.evidence import manifest, members
from connector.evidence.manifest import read_manifest
from connector.evidence.verifying import Known
from connector.identity.signing import new_signing_key
from connector.log.merkle import Edge, leaf_hash
from connector.log.note import Checkpoint, signed
from tests.evidence.forging import Forge, Members, changed, failed, flipped, verified
from tests.log.growing import a_signer

# -- without the key ----------------------------------------------------------------------------------------------------------


def test_each_member_that_is_changed_dropped_or_swapped_is_named(forge: Forge, tmp_path: Path) -> None:
    found = forge.provider
    names = sorted(found.keys() - {manifest.NAME, manifest.SEAL})
    for name, other in zip(names, [*names[1:], names[0]], strict=True):
        assert failed(tmp_path, {**found, name: flipped(found[name], len(found[name]) // 2)}) == (
            "manifest",
            "member-changed",
            name,
        )
        dropped = {each: content for each, content in found.items() if each != name}
        assert failed(tmp_path, dropped) == ("manifest", "member-missing", name)
        if found[name] != found[other]:
            swapped = {**found, name: found[other], other: found[name]}
            assert failed(tmp_path, swapped) == ("manifest", "member-changed", min(name, other))


@pytest.mark.parametrize("name", ["leaves/0000000099.json", "contract.it.html", "extra.txt", "keys/more.json"])
def test_what_is_added_is_named(forge: Forge, tmp_path: Path, name: str) -> None:
    assert failed(tmp_path, {**forge.provider, name: b"{}"}) == ("manifest", "member-added", name)


def test_manifest_and_seal_hold_each_other(forge: Forge, tmp_path: Path) -> None:
    found, theirs = forge.provider, forge.bundles["consumer"]
    for name, step in ((manifest.NAME, "manifest"), (manifest.SEAL, "seal")):
        assert failed(tmp_path, {each: content for each, content in found.items() if each != name})[0] == step
    for at in range(0, len(found[manifest.NAME]), 97):
        step, _, _ = failed(tmp_path, {**found, manifest.NAME: flipped(found[manifest.NAME], at)})
        assert step in ("manifest", "seal")
    for at in range(0, len(found[manifest.SEAL]), 23):
        assert failed(tmp_path, {**found, manifest.SEAL: flipped(found[manifest.SEAL], at)})[0] == "seal"
    assert failed(tmp_path, {**found, manifest.SEAL: theirs[manifest.SEAL]}) == ("seal", "seal-signer", manifest.SEAL)
    listed = orjson.loads(found[manifest.NAME]) | {"agreement": "urn:other"}
    assert failed(tmp_path, {**found, manifest.NAME: canonical_bytes(listed)}) == ("seal", "seal-content", manifest.SEAL)


def test_a_bundle_of_another_contract_gives_no_members(forge: Forge, tmp_path: Path) -> None:
    mixed = {**forge.provider, "agreement.json": forge.bundles["consumer"]["contract.json"]}
    assert failed(tmp_path, mixed) == ("manifest", "member-changed", "agreement.json")


# -- with the exporter's own key ----------------------------------------------------------------------------------------------


def _cheaper(found: Members) -> Members:
    return {**found, "agreement.json": found["agreement.json"].replace(b'"0.40"', b'"0.04"')}


def _spaced(found: Members) -> Members:
    return {**found, "agreement.json": found["agreement.json"].replace(b":", b": ", 1)}


def _one_signature(found: Members) -> Members:
    document = orjson.loads(found["signatures.json"])
    return {**found, "signatures.json": orjson.dumps(document | {"signatures": document["signatures"][:1]})}


def _same_signature_twice(found: Members) -> Members:
    document = orjson.loads(found["signatures.json"])
    return {**found, "signatures.json": orjson.dumps(document | {"signatures": document["signatures"][:1] * 2})}


def _other_signature(found: Members) -> Members:
    document = orjson.loads(found["signatures.json"])
    first, second = document["signatures"]
    crossed = [{**first, "signature": second["signature"]}, second]
    return {**found, "signatures.json": orjson.dumps(document | {"signatures": crossed})}


def _no_signatures(found: Members) -> Members:
    return {name: each for name, each in found.items() if name != "signatures.json"}


def _other_facts(**facts: object) -> Callable[[Members], Members]:
    return lambda found: changed(found, "contract.json", facts)


def _payload_of(found: Members, word: bytes, last: bool = False) -> str:
    names = [name for name in sorted(found) if name.startswith("payloads/") and word in found[name]]
    return names[-1 if last else 0]


def _first_request(found: Members) -> Members:
    name = _payload_of(found, b"ContractRequestMessage")
    document = orjson.loads(found[name])
    document["payload"]["document"]["callbackAddress"] = "https://elsewhere.example"
    return {**found, name: members.told(document)}


def _last_offer(found: Members) -> Members:
    name = _payload_of(found, b'"ContractOfferMessage"')
    return {**found, name: found[name].replace(b'"0.40"', b'"0.01"')}


def _agreement_payload(found: Members) -> Members:
    name = _payload_of(found, b"peerPid")
    return {**found, name: found[name].replace(b'"0.40"', b'"0.41"')}


def _other_key(found: Members) -> Members:
    name = _payload_of(found, b"ContractRequestMessage")
    return changed(found, name, {"key": "00" * 32})


def _receipt(**change: object) -> Callable[[Members], Members]:
    return lambda found: changed(found, "receipts/0001.json", change)


def _more_rows(found: Members) -> Members:
    receipt = orjson.loads(found["receipts/0001.json"])
    return changed(found, "receipts/0001.json", {"content": {**receipt["content"], "rows": 9}})


def _answer_as_receipt(found: Members) -> Members:
    receipt = orjson.loads(found["receipts/0001.json"])
    return changed(found, "receipts/0001.json", {"signed": receipt["answer"]})


def _without(*prefixes: str) -> Callable[[Members], Members]:
    return lambda found: {name: each for name, each in found.items() if not name.startswith(prefixes)}


def _longer_head(found: Members) -> Members:
    origin, size, rest = found["checkpoint"].split(b"\n", 2)
    return {**found, "checkpoint": b"\n".join((origin, str(int(size) + 1).encode(), rest))}


def _leaf_says(found: Members) -> Members:
    name = next(each for each in sorted(found) if b'"rows":120' in found[each] and each.startswith("leaves/"))
    return {**found, name: found[name].replace(b'"rows":120', b'"rows":121')}


def _swapped_leaves(found: Members) -> Members:
    first, second = [name for name in sorted(found) if name.startswith("leaves/")][1:3]
    return {**found, first: found[second], second: found[first]}


def _swapped_proofs(found: Members) -> Members:
    first, second = [name for name in sorted(found) if name.startswith("proofs/")][1:3]
    return {**found, first: found[second], second: found[first]}


def _claims(found: Members) -> Members:
    name = next(each for each in sorted(found) if each.startswith("keys/consumer"))
    kept = orjson.loads(found[name])
    return changed(found, name, {"registry": {**kept["registry"], "claims": {"kind": "research"}}})


def _key_of_another(found: Members) -> Members:
    name = next(each for each in sorted(found) if each.startswith("keys/consumer"))
    kept = orjson.loads(found[name])
    jwk = {**new_signing_key("ES256", "agreement-1").public_jwk}
    kept["document"]["verificationMethod"][0]["publicKeyJwk"] = jwk
    return changed(found, name, {"document": kept["document"]})


def _key_dropped(found: Members) -> Members:
    return {name: each for name, each in found.items() if not name.startswith("keys/consumer")}


CHANGES: list[tuple[str, Callable[[Members], Members], tuple[str, str]]] = [
    ("price", _cheaper, ("signatures", "signatures-other")),
    ("spaces", _spaced, ("agreement", "agreement-not-canonical")),
    ("counterparty", _other_facts(counterparty="did:web:other"), ("agreement", "contract-other")),
    ("dataset", _other_facts(dataset="urn:other"), ("agreement", "agreement-parties")),
    ("one signature", _one_signature, ("signatures", "signature-missing")),
    ("twice", _same_signature_twice, ("signatures", "signature-twice")),
    ("crossed signatures", _other_signature, ("signatures", "agreement-signature")),
    ("no signatures", _no_signatures, ("signatures", "signatures-missing")),
    ("weaker than it is", _other_facts(evidence="own-only"), ("signatures", "signature-missing")),
    ("last offer", _last_offer, ("offers", "offer-other")),
    ("receipt content", _more_rows, ("receipts", "receipt-content")),
    ("receipt state", _receipt(state="disputed"), ("receipts", "answer-verdict")),
    ("receipt without answer", _receipt(answer=None), ("receipts", "seal-form")),
    ("receipt signed by another", _answer_as_receipt, ("receipts", "seal-type")),
    ("receipt of another transfer", _receipt(transfer="urn:uuid:other"), ("receipts", "receipt-other")),
    ("differences", _receipt(differences=[{"member": "rows"}]), ("receipts", "answer-differences")),
    ("key of another", _key_of_another, ("signatures", "snapshot-thumbprint")),
    ("key dropped", _key_dropped, ("signatures", "key-missing")),
    ("checkpoint", _longer_head, ("heads", "signature-wrong")),
    ("no checkpoint", _without("checkpoint"), ("heads", "head-missing")),
    ("no keys of the log", _without("vkeys"), ("heads", "vkey-missing")),
    ("no growth", _without("consistency/"), ("heads", "proof-missing")),
    ("growth of nothing", _without("cosigned/"), ("heads", "head-missing")),
    ("leaf", _leaf_says, ("leaves", "proof-root")),
    ("leaves swapped", _swapped_leaves, ("leaves", "proof-root")),
    ("proofs swapped", _swapped_proofs, ("leaves", "proof-root")),
    ("proofs dropped", _without("proofs/"), ("leaves", "proof-missing")),
    ("cosigned head dropped", _without("cosigned/", "consistency/"), ("leaves", "proof-head")),
    ("leaf dropped, proof kept", _without("leaves/0000000000"), ("leaves", "leaf-missing")),
    ("first request", _first_request, ("payloads", "payload-other")),
    ("agreement in the log", _agreement_payload, ("payloads", "payload-other")),
    ("key of a payload", _other_key, ("payloads", "payload-other")),
    ("claims", _claims, ("contents", "key-logged")),
    ("receipt dropped", _without("receipts/"), ("contents", "receipt-missing")),
]


@pytest.mark.parametrize(("change", "expected"), [each[1:] for each in CHANGES], ids=[each[0] for each in CHANGES])
def test_what_the_exporter_itself_has_changed_is_seen(
    forge: Forge, tmp_path: Path, change: Callable[[Members], Members], expected: tuple[str, str]
) -> None:
    step, code, _ = failed(tmp_path, forge.resealed(change(forge.provider)))
    assert (step, code) == expected


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("statement.json", "statement"),
        ("contract.en.html", "pages"),
        ("contract.de.html", "pages"),
        ("contract.fr.html", "pages"),
        ("offers/001.json", "pages"),
        ("offers/002.json", "pages"),
        ("decisions.json", "pages"),
        ("termination.json", "pages"),
        ("messages/0001-ContractRequestMessage.json", "pages"),
        ("README.txt", "pages"),
        ("README.html", "pages"),
    ],
)
def test_what_follows_from_the_rest_cannot_say_something_else(forge: Forge, tmp_path: Path, name: str, step: str) -> None:
    found = forge.provider
    other = found[name].replace(b"0.40", b"0.01").replace(b"a", b"e")
    if name.endswith(".json"):
        other = members.told(_altered(orjson.loads(found[name])))
    assert failed(tmp_path, forge.resealed({**found, name: other}, derive=False))[0::2] == (step, name)
    dropped = {each: content for each, content in found.items() if each != name}
    assert failed(tmp_path, forge.resealed(dropped, derive=False))[0::2] == (step, name)


def _altered(document: Any) -> Any:
    if isinstance(document, list):
        return document[1:]
    return {**document, next(iter(document)): "other"}


def test_a_page_that_nobody_asked_for_is_named(forge: Forge, tmp_path: Path) -> None:
    found = {**forge.provider, "contract.it.html": b"<p>"}
    assert failed(tmp_path, forge.resealed(found, derive=False)) == ("pages", "page-added", "contract.it.html")


@pytest.mark.parametrize(
    "name", ["contract.json", "record.json", "meters.json", "receipts/0001.json", "keys", "leaves", "payloads"]
)
@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"null", b'{"us":1}', b"\xff"])
def test_members_of_another_form_end_the_ceremony(forge: Forge, tmp_path: Path, name: str, content: bytes) -> None:
    found = forge.provider
    member = next(each for each in sorted(found) if each.startswith(name))
    _, _, file = failed(tmp_path, forge.resealed({**found, member: content}, derive=False))
    assert file


def test_a_history_that_was_rewritten_with_all_keys_of_one_side_meets_what_the_other_has_cosigned(
    forge: Forge, tmp_path: Path
) -> None:
    found, kept = forge.provider, forge.contract.provider
    entries = [*kept.log.folder.entries(0, kept.log.folder.size())]
    number = next(index for index, each in enumerate(entries) if b'"event":"received"' in each and index < 20)
    entries[number] = entries[number].replace(b'"event":"received"', b'"event":"refused"')
    edge = Edge.empty().extended([leaf_hash(each) for each in entries])
    note = signed(Checkpoint(kept.signer.name, edge.size, edge.root()), [kept.signer])
    step, _, file = failed(tmp_path, forge.resealed({**found, "checkpoint": note.encode()}))
    assert (step, file.split("/")[0]) == ("heads", "consistency")


def test_a_log_of_another_key_is_none_of_the_exporter(forge: Forge, tmp_path: Path) -> None:
    found, other = forge.provider, a_signer(7, forge.contract.provider.signer.name)
    vkeys = found["vkeys"] + f"{other.verifier.vkey}\n".encode()
    assert failed(tmp_path, forge.resealed({**found, "vkeys": vkeys}))[:2] == ("heads", "handover-missing")
    stranger = f"{a_signer(7, 'elsewhere/log').verifier.vkey}\n".encode()
    assert failed(tmp_path, forge.resealed({**found, "vkeys": stranger}))[:2] == ("heads", "vkey-other")


def test_what_the_verifier_knows_decides_whose_bundle_it_is(forge: Forge, tmp_path: Path) -> None:
    found = forge.provider
    key, vkey = forge.contract.witnesses.keys["did:web:provider"], forge.contract.provider.signer.verifier.vkey
    steps = verified(tmp_path, found, Known(frozenset({key.thumbprint}), (vkey,)))
    assert not any("given" in note for step in steps for note in step.notes)
    assert failed(tmp_path, found, Known(keys=frozenset({"other"})))[:2] == ("seal", "key-unknown")
    other = a_signer(7, forge.contract.provider.signer.name).verifier.vkey
    assert failed(tmp_path, found, Known(vkeys=(other,)))[:2] == ("heads", "vkey-unknown")


def test_a_signature_that_is_to_come_is_refused(forge: Forge, tmp_path: Path) -> None:
    assert failed(tmp_path, forge.provider, Known(now_ms=1_000))[:2] == ("signatures", "agreement-time")


def test_an_opened_line_that_is_left_out_is_remarked(forge: Forge, tmp_path: Path) -> None:
    found = forge.provider
    hidden = _payload_of(found, b"ContractRequestMessage")
    steps = verified(tmp_path, forge.resealed({name: each for name, each in found.items() if name != hidden}))
    (step,) = [each for each in steps if each.name == "payloads"]
    assert [note.partition(":")[0] for note in step.notes] == [hidden.replace("payloads/", "leaves/")]


def test_the_manifest_lists_what_is_there(forge: Forge) -> None:
    listed = read_manifest(forge.provider[manifest.NAME])
    assert listed.members == manifest.digests(forge.provider)
    assert base64.urlsafe_b64decode(forge.provider[manifest.SEAL].split(b".")[1] + b"==")
