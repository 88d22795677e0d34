"""The ring of keys: what signs now, what is published, and what stays for old evidence."""

from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from connector.identity.certificate import chain_member, from_chain, self_signed
from connector.identity.gate import public_key
from connector.identity.keys import ALGORITHMS, HOUR_MS, Key, KeyRing, Use
from connector.identity.signing import SigningKey, new_signing_key
from connector.protocol.errors import InvariantBroken, NotFound

NOW = 1_800_000_000_000
OVERLAP = 48 * HOUR_MS
PRIVATE = generate_private_key(SECP256R1())
SIGNERS = {kid: new_signing_key("EdDSA" if kid.startswith("log") else "ES256", kid) for kid in ("o1", "o2", "o3", "a1", "log1")}


def signer(use: Use, kid: str, made_at: int = NOW, **more: Any) -> Key:
    key = SIGNERS[kid]
    return Key(use=use, kid=kid, made_at=made_at, public=dict(key.public_jwk), thumbprint=key.thumbprint, **more)


def ring(*more: Key) -> KeyRing:
    keys = [
        *more,
        signer(Use.LOG, "log1"),
        signer(Use.AGREEMENT, "a1", certificate="PEM"),
        signer(Use.OAUTH, "o3", NOW + 2),
        Key(use=Use.SUBJECTS, kid="s1", made_at=NOW),
        Key(use=Use.SUBJECTS, kid="s0", made_at=NOW - 1, rotated_at=NOW),
        Key(use=Use.PSEUDONYMS, kid="p1", made_at=0),
    ]
    private: list[SigningKey] = [SIGNERS[kid] for kid in ("o3", "a1", "log1")]
    return KeyRing(keys, private, {"s1": b"1" * 32, "s0": b"0" * 32, "p1": b"p" * 32}, OVERLAP)


def kids(keys: KeyRing, now_ms: int) -> list[str]:
    return [jwk["kid"] for _, jwk in keys.published(now_ms)]


def test_each_use_signs_with_its_own_current_key() -> None:
    keys = ring(signer(Use.OAUTH, "o2", rotated_at=NOW))
    assert keys.signing(Use.OAUTH) is SIGNERS["o3"]
    assert keys.signing(Use.LOG).algorithm == ALGORITHMS[Use.LOG] == "EdDSA"
    assert keys.current(Use.AGREEMENT).certificate == "PEM"
    assert (keys.secret(Use.SUBJECTS), keys.secret(Use.PSEUDONYMS)) == (b"1" * 32, b"p" * 32)


def test_old_secrets_are_there_for_what_was_made_with_them() -> None:
    assert ring().secret(Use.SUBJECTS, "s0") == b"0" * 32
    assert (ring().older(Use.SUBJECTS), ring().older(Use.PSEUDONYMS), ring().older(Use.LOG)) == ((b"0" * 32,), (), ())
    for use, kid in ((Use.PSEUDONYMS, "s0"), (Use.SUBJECTS, "o3"), (Use.SUBJECTS, "none")):
        with pytest.raises(NotFound):
            ring().secret(use, kid)


def test_what_signs_is_no_secret_and_a_secret_signs_nothing() -> None:
    for use in Use:
        with pytest.raises(InvariantBroken):
            ring().secret(use) if use in ALGORITHMS else ring().signing(use)
    with pytest.raises(InvariantBroken):
        ring().verifying(Use.SUBJECTS, "s1")


def test_a_use_without_a_key_says_what_to_do() -> None:
    with pytest.raises(NotFound, match="carnet keys rotate"):
        KeyRing([], [], {}, OVERLAP).signing(Use.OAUTH)


def test_a_ring_has_one_current_key_of_each_use_with_its_private_part() -> None:
    for keys, private in (
        ([signer(Use.OAUTH, "o1"), signer(Use.OAUTH, "o2")], [SIGNERS["o1"], SIGNERS["o2"]]),
        ([signer(Use.OAUTH, "o1")], []),
        ([Key(use=Use.SUBJECTS, kid="s", made_at=0)], []),
    ):
        with pytest.raises(InvariantBroken):
            KeyRing(keys, private, {}, OVERLAP)


def test_a_rotated_key_is_published_for_the_overlap_and_a_revoked_one_never() -> None:
    keys = ring(
        signer(Use.OAUTH, "o2", NOW + 1, rotated_at=NOW + 2), signer(Use.OAUTH, "o1", rotated_at=NOW + 1, revoked_at=NOW + 2)
    )
    assert kids(keys, NOW + 2) == kids(keys, NOW + 1 + OVERLAP) == ["o3", "o2", "a1", "log1"]
    assert kids(keys, NOW + 2 + OVERLAP) == ["o3", "a1", "log1"]
    assert {use for use, _ in keys.published(NOW)} == set(ALGORITHMS)


def test_nothing_private_is_published_listed_or_shown() -> None:
    keys = ring()
    shown = repr([*keys.published(NOW), *keys.listing(), keys, keys.current(Use.OAUTH), keys.verifying(Use.OAUTH, "o3")])
    assert all(private not in shown for private in ("'d'", "'k'", "1" * 32, "p" * 32))
    with pytest.raises(TypeError):
        keys.published(NOW)[0][1]["kid"] = "other"  # type: ignore[index]  # that it cannot be written is what is tested


def test_old_evidence_stays_verifiable_and_a_revoked_key_says_since_when_not() -> None:
    keys = ring(signer(Use.OAUTH, "o1", rotated_at=NOW), signer(Use.OAUTH, "o2", revoked_at=NOW + 1999, reason="a leak"))
    assert keys.verifying(Use.OAUTH, "o1") == SIGNERS["o1"].public_jwk
    revoked = keys.verifying(Use.OAUTH, "o2")
    assert revoked["revoked"] == {"revoked_at": NOW // 1000 + 1, "reason": "a leak"}
    assert public_key(revoked).thumbprint == SIGNERS["o2"].thumbprint
    assert keys.thumbprints["o1"] == SIGNERS["o1"].thumbprint
    assert set(keys.thumbprints) == {"o1", "o2", "o3", "a1", "log1"}
    for use, kid in ((Use.LOG, "o1"), (Use.OAUTH, "none")):
        with pytest.raises(NotFound):
            keys.verifying(use, kid)


def test_the_listing_says_state_and_time_of_every_key() -> None:
    keys = ring(
        signer(Use.OAUTH, "o2", NOW + 1, rotated_at=NOW + 2),
        signer(Use.OAUTH, "o1", rotated_at=NOW + 1, revoked_at=NOW + 5, reason="lost"),
    )
    rows = {row["kid"]: row for row in keys.listing()}
    assert list(rows) == ["o3", "o2", "o1", "a1", "log1", "s1", "s0", "p1"]
    assert [(rows[kid]["state"], rows[kid]["since"], rows[kid]["until"]) for kid in ("o3", "o2", "o1", "p1")] == [
        ("current", NOW + 2, None),
        ("rotated", NOW + 1, NOW + 2 + OVERLAP),
        ("revoked", NOW, NOW + 5),
        ("current", None, None),
    ]
    assert rows["o1"]["reason"] == "lost"
    assert (rows["s1"]["thumbprint"], rows["s1"]["algorithm"]) == (None, None)


def test_who_holds_a_ring_sees_new_keys_with_the_next_question() -> None:
    held = ring()
    held.become(KeyRing([signer(Use.OAUTH, "o1")], [SIGNERS["o1"]], {}, 0))
    assert held.signing(Use.OAUTH) is SIGNERS["o1"]
    assert [row["kid"] for row in held.listing()] == kids(held, NOW) == ["o1"]
    with pytest.raises(NotFound):
        held.secret(Use.SUBJECTS)


@pytest.mark.parametrize("kid", ["", "a/b", "a b", "a\n", "é", "x" * 129])
def test_ids_of_keys_fit_in_names_of_files_and_in_addresses(kid: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"use": "oauth", "kid": kid, "madeAt": 0}, Key)


# -- the certificate of the agreement key ------------------------------------------------------------------------------


def certificate(participant_id: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(self_signed(PRIVATE, participant_id, NOW).encode())


def test_the_certificate_names_the_participant_and_vouches_for_itself_alone() -> None:
    made = certificate("did:web:us.example")
    assert made.subject == made.issuer
    assert made.subject.rfc4514_string() == "CN=did:web:us.example"
    assert made.not_valid_before_utc.timestamp() == NOW // 1000
    assert (made.not_valid_after_utc - made.not_valid_before_utc).days == 5 * 365 + 1
    made.verify_directly_issued_by(made)
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert made.extensions.get_extension_for_class(x509.KeyUsage).value.content_commitment
    assert made.public_key() == PRIVATE.public_key()


@pytest.mark.parametrize(
    ("participant_id", "common", "whole"),
    [
        ("did:web:" + "a" * 100, "did:web:" + "a" * 56, "did:web:" + "a" * 100),
        ("us", "us", None),
        ("Übung: größer", "Übung: größer", None),
        ("é" * 2048, "é" * 32, None),
        ("a" + "é" * 50, "a" + "é" * 31, None),
        ("did:web:us example", "did:web:us example", None),
    ],
)
def test_a_name_that_is_too_long_for_a_subject_is_whole_beside_it(participant_id: str, common: str, whole: str | None) -> None:
    made = certificate(participant_id)
    (name,) = made.subject
    assert name.value == common
    others = [each.value for each in made.extensions if isinstance(each.value, x509.SubjectAlternativeName)]
    uris = [uri for other in others for uri in other.get_values_for_type(x509.UniformResourceIdentifier)]
    assert uris == ([] if whole is None else [whole])


def test_a_certificate_belongs_to_its_key() -> None:
    pem = self_signed(PRIVATE, "us", NOW)
    assert from_chain(chain_member(pem), PRIVATE) == pem
    for member in (chain_member(pem), "", "!", "YWJj"):
        with pytest.raises(ValueError, match=r"."):
            from_chain(member, generate_private_key(SECP256R1()))
