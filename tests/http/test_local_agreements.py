"""How an agreement's signatures are shown to its owner: who has signed, what that is worth, and what is disputed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from catalog.canonical import canonical_bytes
from connector.api.answers.agreements import agreement_answer, signatures_answer, signed_answer
from connector.identity import jades
from connector.identity.certificate import self_signed
from connector.identity.signing import new_signing_key
from connector.store.rows import Agreement
from connector.store.signatures import AgreementSignature, SignatureState

US, THEM = "did:web:us.example", "did:web:them.example"
AT_S = 1_700_000_000
CONTENT = canonical_bytes({"@id": "urn:a", "assigner": US, "assignee": THEM})
AGREEMENT = Agreement("urn:a", THEM, "provider", "urn:n", "urn:d", CONTENT.decode(), "binding", 1, 1)


def by(who: str, content: bytes = CONTENT) -> str:
    key = new_signing_key("ES256", "a")
    assert isinstance(key.private, EllipticCurvePrivateKey)
    pem = self_signed(key.private, who, AT_S * 1000)
    return jades.compact(content, jades.signed(content, key, f"{who}#a", pem, AT_S))


def row(state: SignatureState, **more: Any) -> AgreementSignature:
    given = {"own": by(US), "own_thumbprint": "ours", **more}
    return AgreementSignature("urn:a", THEM, "provider", "urn:n", "ab" * 32, state, 1, 1, **given)


def told(answer: object) -> Any:
    """As it is read by who asked."""
    return msgspec.to_builtins(answer)


@pytest.mark.parametrize(
    ("state", "by_whom", "words"),
    [
        ("signed", "us", "has not come yet (weaker evidence: "),
        ("own-only", "us", "signs no agreements (weaker evidence: "),
        ("unverified", "us", "cannot be verified yet (weaker evidence: "),
        ("disputed", "us", "has signed other words (weaker evidence: "),
        ("countersigned", "both", "signed by both"),
    ],
)
def test_each_state_says_what_it_is_worth(state: SignatureState, by_whom: str, words: str) -> None:
    shown = told(signed_answer(row(state)))
    assert (shown["by"], shown["state"]) == (by_whom, state)
    assert words in shown["sentence"]


def test_an_agreement_that_nobody_signed_says_so() -> None:
    for none in (None, row("unverified", own="")):
        assert told(signed_answer(none))["by"] == "neither"
    shown = told(signatures_answer(AGREEMENT, None, US))
    assert (shown["signatures"], shown["jws"], shown["disputed"], shown["refused"]) == ([], None, None, None)
    assert told(agreement_answer(AGREEMENT, None))["signed"]["state"] is None


def test_both_signatures_stand_in_one_document_the_providers_first() -> None:
    shown = told(signatures_answer(AGREEMENT, row("countersigned", theirs=by(THEM), their_thumbprint="theirs"), US))
    assert [(each["participant"], each["keyThumbprint"]) for each in shown["signatures"]] == [(US, "ours"), (THEM, "theirs")]
    assert {each["signedAt"] for each in shown["signatures"]} == {"2023-11-14T22:13:20Z"}
    assert len(shown["jws"]["signatures"]) == 2


def test_a_dispute_is_shown_apart() -> None:
    shown = told(signatures_answer(AGREEMENT, row("disputed", disputed=by(THEM, b"{}"), refused="agreement-key"), US))
    assert (len(shown["jws"]["signatures"]), len(shown["signatures"]), shown["refused"]) == (1, 1, "agreement-key")
    assert shown["disputed"]["payload"] == "e30"
