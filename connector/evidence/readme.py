"""What a bundle says about itself: every file in it, and how to verify it with tools that are not ours. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any, Final

Document = dict[str, Any]
_FILES: Final = (
    ("README.txt, README.html", "This explanation."),
    ("manifest.json", "The SHA-256 of every other file, whose evidence this is, and when it was made (RFC 8785 JSON)."),
    ("manifest.jws", "The digest of manifest.json, signed by the exporter (compact JWS, RFC 7515)."),
    ("agreement.json", "The agreement: the exact bytes that both connectors hold and that were signed (RFC 8785 JSON, ODRL)."),
    (
        "signatures.json",
        "The signatures of the agreement: JWS JSON Serialization (general), each one JAdES Baseline B-B (ETSI TS 119 182-1).",
    ),
    ("contract.en.html, contract.de.html, contract.fr.html", "The agreement for people, to read and to print."),
    ("contract.json", "Facts about the agreement beside its own words: parties, dataset, state, what the data plane enforces."),
    ("offers/", "Each offer of the negotiation in its order, with what it says otherwise than the one before; the last is the "
     "agreement."),
    ("decisions.json", "What was decided in the negotiation and the transfers, and why."),
    ("messages/", "The protocol messages (Dataspace Protocol 2025-1), without addresses of data and tokens."),
    ("record.json", "The exporter's own record of the processes: their states and timelines."),
    ("receipts/", "Each delivery as the consumer signed it and the provider answered: content, both JWS, differences."),
    ("meters.json", "What the provider's meters counted; null where the consumer has made this bundle."),
    ("statement.json", "What is owed, reckoned from the receipts and the meters."),
    ("erasures.json", "What had to be erased and what was attested, by number and digest only."),
    ("termination.json", "How the contract and its transfers ended, as far as they have."),
    ("leaves/", "Each line of the exporter's contract log about this agreement: its exact bytes, by its index in the log."),
    ("payloads/", "What such a line is about, with the key that opens the encrypted payload of this one line."),
    ("proofs/", "For each line the proof that it is in the log (C2SP tlog-proof)."),
    ("checkpoint", "The newest head of the log (C2SP tlog-checkpoint, a signed note)."),
    ("cosigned/", "Heads of the log that the counterparty has cosigned (C2SP tlog-cosignature)."),
    ("consistency/", "Proof that the log has only grown from each of those to the newest head (RFC 6962, 2.1.2; base64)."),
    ("handover/", "Heads at which the log changed its key, signed by both keys."),
    ("vkeys", "The keys that sign the heads, one a line, as C2SP signed-note writes them."),
    ("keys/", "Each key that signed, in the DID document or registry entry in which it was found, with verified claims."),
)  # fmt: skip
_VERIFY: Final = (
    ("All of it", "carnet audit verify THIS.zip    (offline; needs neither connector nor database)"),
    ("Files", "Compare `sha256sum FILE` with manifest.json. The payload of manifest.jws names the SHA-256 of manifest.json."),
    (
        "Signatures of the agreement",
        "Any JAdES validator, such as DSS of the European Commission, takes signatures.json as it is. What is signed, out of "
        "base64url, is agreement.json byte for byte. Any JOSE library verifies receipts and manifest.jws with the keys in keys/.",
    ),
    (
        "The log",
        "Any C2SP tool verifies proofs/*.tlog-proof with the keys in vkeys; with golang.org/x/mod: note.Open, tlog.CheckRecord. "
        "The proven record is the file of the same number in leaves/.",
    ),
    (
        "A payload",
        "SHA-256 of 'carnet payload key' and the 32 bytes of its key is payload.key of its leaf; nonce (the first 12 bytes of "
        "HMAC-SHA-256 under the key of 'carnet nonce' and the payload in RFC 8785) and AES-256-GCM of the payload with the id of "
        "the leaf as associated data hash to payload.sha256.",
    ),
    (
        "Whose keys",
        "A bundle proves what its keys have signed. Whether a key was the party's own says the party: compare the thumbprints in "
        "keys/ and the lines of vkeys with what you have from it by another way.",
    ),
)


def readme_text(facts: Document, names: Sequence[str]) -> bytes:
    """For a terminal."""
    lines = [f"Evidence of the agreement {_plain(facts['agreement'])}", ""]
    lines += [f"{title}: {value}" for title, value in _about(facts)]
    lines += ["", "FILES", ""]
    lines += [f"{name}\n    {text}" for name, text in _there(names)]
    lines += ["", "HOW TO VERIFY IT", ""]
    lines += [f"{title}\n    {text}" for title, text in _VERIFY]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def readme_page(facts: Document, names: Sequence[str]) -> bytes:
    """For a browser; it fetches nothing."""
    title = f"Evidence of the agreement {escape(_plain(facts['agreement']))}"
    about = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in _about(facts))
    files = "".join(f"<tr><th>{_linked(name)}</th><td>{escape(text)}</td></tr>" for name, text in _there(names))
    verify = "".join(f"<h3>{escape(name)}</h3><p>{escape(text)}</p>" for name, text in _VERIFY)
    head = (
        '<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">"
        f"<title>{title}</title><style>body{{font:11pt/1.5 Georgia,serif;max-width:44rem;margin:2rem auto;padding:0 1rem;"
        "overflow-wrap:anywhere}th{text-align:left;vertical-align:top;font-weight:normal;padding-right:1rem;width:32%}"
        "td{vertical-align:top;padding-bottom:.4rem}@media print{body{margin:0;max-width:none}}</style>"
    )
    page = (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n<h1>{title}</h1>\n<table>{about}</table>\n'
        f"<h2>Files</h2>\n<table>{files}</table>\n<h2>How to verify it</h2>\n{verify}\n</body></html>\n"
    )
    return page.encode("utf-8", "replace")


def _about(facts: Document) -> Iterator[tuple[str, str]]:
    yield "Made by", f"{_plain(facts['us'])} ({facts['role']})"
    yield "Counterparty", _plain(facts["counterparty"])
    level = {
        "countersigned": "signed by both parties",
        "own-only": "weaker evidence: signed by the exporter alone, beside the messages of the other side as they came",
    }
    yield "Signatures", level.get(facts["evidence"], "weaker evidence: not signed; the messages stand in its place")
    if not facts["logged"]:
        yield "Log", "there is no line of the contract log about this agreement: it was made before there was one"


def _there(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The files that are in this bundle; a manifest is added to every one."""
    known = [*names, "README.txt", "manifest.json", "manifest.jws"]
    for name, text in _FILES:
        if any(each == one or (one.endswith("/") and each.startswith(one)) for one in name.split(", ") for each in known):
            yield name, text


def _linked(name: str) -> str:
    return ", ".join(f'<a href="{escape(one)}">{escape(one)}</a>' for one in name.split(", "))


def _plain(text: Any) -> str:
    return "".join(each if each.isprintable() else "\ufffd" for each in str(text))
