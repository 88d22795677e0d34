"""A bundle that is whole in itself and made by somebody else, or of keys that its exporter has made up: what the verifier knows
finds it, and where it knows nothing, it is told so."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from connector.evidence import history, manifest, members
from connector.evidence.loglines import Wanted, log_members
from connector.evidence.verifying import MAX_KEYS, Known
from connector.evidence.zipped import named_well
from connector.identity import jades
from connector.identity.signing import SigningKey, new_signing_key
from connector.log.access import LogAccess
from connector.log.leaf import Draft, leaf_of
from connector.log.merkle import Edge, leaf_hash
from connector.log.note import Checkpoint, body_of, cosignature, lines_of, signed, with_lines
from connector.log.proofs import read_tlog_proof, tlog_proof
from tests.audit.books import Book
from tests.evidence.forging import Forge, Members, changed, failed, verified
from tests.log.growing import a_signer


def names(found: Members, folder: str) -> list[str]:
    return sorted(name for name in found if name.startswith(folder))


def own(forge: Forge) -> str:
    """The vkey of the provider's log."""
    return forge.contract.provider.signer.verifier.vkey


def resealed_by(forge: Forge, found: Members, key: SigningKey) -> Members:
    """What somebody has made who has none of the exporter's keys: the seal is by a key in the exporter's name."""
    (kept,) = names(found, "keys/provider")
    snapshot = orjson.loads(found[kept])
    jwk = {each: value for each, value in key.public_jwk.items() if each in ("kty", "crv", "x", "y")}
    for method in snapshot["document"]["verificationMethod"]:
        if method["id"] == snapshot["kid"]:
            method["publicKeyJwk"] = jwk
    snapshot["thumbprint"] = key.thumbprint
    rest = {each: content for each, content in found.items() if each != kept}
    forged = Forge(forge.contract, forge.bundles, replace_seal(forge, key, snapshot["kid"]))
    return forged.resealed({**rest, f"keys/provider-{key.thumbprint}.json": members.told(snapshot)})


def replace_seal(forge: Forge, key: SigningKey, kid: str) -> Any:
    context = forge.context
    return replace(context, seals=replace(context.seals, own=lambda: (key, kid)))


def without(found: Members, *folders: str) -> Members:
    return {name: each for name, each in found.items() if not name.startswith(folders)}


def unsigned(found: Members) -> Members:
    return changed(without(found, "signatures.json"), members.CONTRACT, {"evidence": "unsigned"})


def only_the_log(found: Members) -> Members:
    """The lines of a real log, without those that would tell that this bundle is not of it."""
    first = names(found, "leaves/")[0].removeprefix("leaves/").removesuffix(".json")
    kept = without(found, "leaves/", "proofs/", "payloads/", "receipts/")
    return {**kept, **{name: found[name] for name in (f"leaves/{first}.json", f"proofs/{first}.tlog-proof")}}


def test_a_real_log_in_a_bundle_of_somebody_else(forge: Forge, tmp_path: Path) -> None:
    made_up = new_signing_key("ES256", "agreement-1")
    forged = resealed_by(forge, unsigned(only_the_log(forge.provider)), made_up)
    steps = verified(tmp_path, forged)
    assert any("names the key of the seal" in note for step in steps for note in step.notes), "nobody told whose it is"
    known = Known(vkeys=(own(forge),))
    assert failed(tmp_path, forged, known) == ("contents", "seal-unnamed", manifest.SEAL)
    key = forge.contract.witnesses.keys["did:web:provider"]
    assert failed(tmp_path, forged, Known(keys=frozenset({key.thumbprint})))[:2] == ("seal", "key-unknown")


def test_a_bundle_without_a_log_does_not_hold_by_the_key_of_one(forge: Forge, tmp_path: Path) -> None:
    bare = without(forge.provider, "leaves/", "proofs/", "payloads/", "cosigned/", "consistency/", "checkpoint", "vkeys")
    bare = forge.resealed(changed(bare, members.CONTRACT, {"logged": False}))
    assert {step.name: step.result for step in verified(tmp_path, bare)}["heads"] == "not-done"
    assert failed(tmp_path, bare, Known(vkeys=(own(forge),)))[:2] == ("heads", "head-missing")


def with_key_line(forge: Forge, *changes: str) -> Members:
    """The log has the key of the seal; all heads and proofs of the bundle are anew."""
    kept, found = forge.contract.provider, forge.provider
    key = forge.contract.witnesses.keys["did:web:provider"]
    entries = [*kept.log.folder.entries(0, kept.log.folder.size())]
    lines: Members = {}
    for number, change in enumerate(changes):
        draft = Draft("key", {"change": change, "use": "agreement", "thumbprint": key.thumbprint})
        entries.append(leaf_of(draft, f"urn:uuid:00000000-0000-4000-8000-eeeeeeeeee{number:02}", 1, kept.salt, None))
        lines[f"leaves/{len(entries) - 1:010}.json"] = entries[-1]
    hashes = [leaf_hash(each) for each in entries]
    edge = Edge.empty().extended(hashes)
    note = signed(Checkpoint(kept.signer.name, edge.size, edge.root()), [kept.signer])
    found = without(found, "cosigned/", "consistency/") | lines | {"checkpoint": note.encode()}
    for name in names(found, "leaves/"):
        index = int(name.removeprefix("leaves/").removesuffix(".json"))
        found[f"proofs/{index:010}.tlog-proof"] = tlog_proof(index, path_of(hashes, index), note).encode()
    return forge.resealed(found)


def path_of(hashes: list[bytes], index: int) -> list[bytes]:
    """RFC 6962, 2.1.1, as it stands there."""
    if len(hashes) == 1:
        return []
    left = 1 << (len(hashes) - 1).bit_length() - 1
    if index < left:
        return [*path_of(hashes[:left], index), Edge.empty().extended(hashes[left:]).root()]
    return [*path_of(hashes[left:], index - left), Edge.empty().extended(hashes[:left]).root()]


def test_the_key_of_the_log_is_enough_where_the_log_names_that_of_the_seal(forge: Forge, tmp_path: Path) -> None:
    known = Known(vkeys=(own(forge),))
    assert {step.name: step.result for step in verified(tmp_path, with_key_line(forge, "made"), known)}["contents"] == "passed"
    verified(tmp_path, with_key_line(forge, "made", "rotated"), known)
    revoked = with_key_line(forge, "made", "revoked")
    assert failed(tmp_path, revoked, known)[:2] == ("contents", "seal-unnamed")
    assert failed(tmp_path, revoked)[:2] == ("contents", "seal-unnamed")


def test_a_bundle_has_the_lines_that_name_its_keys(tmp_path: Path) -> None:
    book = Book(tmp_path / "log")
    book.write([Draft("key", {"change": "made", "use": use}) for use in ("agreement", "token")])
    found = log_members(LogAccess(book.log, book.payloads, book.subjects), Wanted("provider", "x", "y", frozenset()))
    said = [orjson.loads(found[name]) for name in names(found, "leaves/")]
    assert [(each["type"], each.get("use")) for each in said] == [("log", None), ("key", "agreement")]
    book.close()


def test_a_signature_by_another_key_than_the_log_has_seen(forge: Forge, tmp_path: Path) -> None:
    found = forge.provider
    (name,) = [each for each in names(found, "leaves/") if b'"evidence":"countersigned"' in found[each]]
    leaf = orjson.loads(found[name])
    assert leaf["thumbprint"] == forge.contract.witnesses.keys["did:web:consumer"].thumbprint
    stranger = new_signing_key("ES256", "agreement-1")
    forged = orjson.dumps(leaf | {"thumbprint": stranger.thumbprint}, option=orjson.OPT_SORT_KEYS)
    found = without(with_key_line(forge, "made"), "payloads/")
    entries = rehashed(forge, found, name, forged)
    assert failed(tmp_path, forge.resealed(entries))[:2] == ("contents", "signature-logged")


def rehashed(forge: Forge, found: Members, name: str, leaf: bytes) -> Members:
    """One line is another one, and the log of that size is signed anew."""
    kept = forge.contract.provider
    entries = [*kept.log.folder.entries(0, kept.log.folder.size())]
    entries[int(name.removeprefix("leaves/").removesuffix(".json"))] = leaf
    hashes = [leaf_hash(each) for each in entries]
    note = signed(Checkpoint(kept.signer.name, len(entries), Edge.empty().extended(hashes).root()), [kept.signer])
    found = {**found, name: leaf, "checkpoint": note.encode()}
    for each in names(found, "leaves/"):
        index = int(each.removeprefix("leaves/").removesuffix(".json"))
        if index >= len(entries):
            found = without(found, each, each.replace("leaves/", "proofs/").replace(".json", ""))
        else:
            found[f"proofs/{index:010}.tlog-proof"] = tlog_proof(index, path_of(hashes, index), note).encode()
    return found


def test_a_cosignature_by_a_key_that_the_exporter_has_made_up(forge: Forge, tmp_path: Path) -> None:
    found = forge.provider
    (head,) = names(found, "cosigned/")
    witness = lines_of(found[head].decode())[1].split(" ")[1]
    made_up = a_signer(9, witness)
    note = found[head].decode()
    bare = f"{body_of(note)}\n{lines_of(note)[0]}\n"
    forged = with_lines(bare, [cosignature(body_of(note), made_up, 1_700_000_000)])
    found |= {head: forged.encode()}
    for name in names(found, "proofs/"):
        proof = read_tlog_proof(found[name].decode())
        if proof.note == note:
            found[name] = tlog_proof(proof.index, proof.path, forged).encode()
    x = {"kty": "OKP", "crv": "Ed25519", "x": encoded(made_up.verifier.public)}
    for name in names(found, "keys/consumer"):
        kept = orjson.loads(found[name])
        kept["document"]["verificationMethod"].append({"id": f"{kept['participant']}#log-9", "publicKeyJwk": x})
        found[name] = members.told(kept)
    found = without(found, "payloads/")
    forged_bundle = forge.resealed(found)
    (step,) = [each for each in verified(tmp_path, forged_bundle) if each.name == "cosignature"]
    assert any("--witness" in note for note in step.notes), "of the key there is the exporter's word alone"
    real = forge.contract.consumer.signer.verifier.vkey
    assert failed(tmp_path, forged_bundle, Known(witnesses=(real,)))[:2] == ("cosignature", "cosignature-missing")
    verified(tmp_path, forge.provider, Known(witnesses=(real,)))


def encoded(public: bytes) -> str:
    return base64.urlsafe_b64encode(public).decode().rstrip("=")


def test_a_head_that_an_older_key_has_signed_alone(forge: Forge, tmp_path: Path) -> None:
    """Who has got hold of a key that was rotated away makes no heads with it."""
    kept, found = forge.contract.provider, forge.provider
    newer = a_signer(7, kept.signer.name)
    handover = signed(Checkpoint(kept.signer.name, 5, b"x" * 32), [kept.signer, newer])
    vkeys = found["vkeys"] + f"{newer.verifier.vkey}\n".encode()
    forged = forge.resealed({**found, "vkeys": vkeys, "handover/5": handover.encode()})
    assert failed(tmp_path, forged) == ("heads", "key-stale", "checkpoint")


def test_keys_without_end(forge: Forge, tmp_path: Path) -> None:
    many = {f"keys/consumer-{number}.json": b"{}\n" for number in range(MAX_KEYS)}
    assert failed(tmp_path, forge.resealed({**forge.provider, **many}, derive=False))[:2] == ("manifest", "keys-many")


@pytest.mark.parametrize("folder", ["contract.json", "receipts/", "keys/", "payloads/"])
def test_a_member_that_two_readers_read_otherwise(forge: Forge, tmp_path: Path, folder: str) -> None:
    found = forge.provider
    name = names(found, folder)[0]
    twice = b'{"agreement":"urn:other","payload":{},"content":{},' + found[name].lstrip()[1:]
    forged = forge.resealed({**found, name: twice}, derive=False)
    assert failed(tmp_path, forged) == ("manifest", "member-spelling", name)


def test_of_keys_with_one_name_the_certified_one_is_that_of_the_signature(forge: Forge) -> None:
    found = forge.provider
    claims = jades.opened(found[members.SIGNATURES]).claims
    kept = [replace(each, kid="agreement-1") for each in members.keys(found)]
    for claim in claims:
        chosen = members.kept_of(kept, replace(claim, kid="agreement-1"))
        assert chosen is not None
        assert chosen.participant == claim.kid.partition("#")[0]
    assert members.kept_of([], claims[0]) is None


def test_what_a_peer_calls_its_message_leads_nowhere() -> None:
    document = {"@type": "../../x:" + "y" * 100}
    lines = [history.Line(1, {"type": "message", "channel": "dsp", "time": "t"}, {"document": document})]
    ((name, _),) = history.messages(lines)
    assert named_well(name), name
