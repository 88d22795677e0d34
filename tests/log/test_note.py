"""Signed notes: what is signed is what was read, by whom we know, and in its one form."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.log.merkle import EMPTY_ROOT, MAX_SIZE
from connector.log.note import (
    COSIGNATURE,
    ED25519,
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    Checkpoint,
    NoteRefused,
    Opened,
    Verified,
    Verifier,
    body_of,
    cosignature,
    lines_of,
    opened,
    origin_of,
    signed,
    with_lines,
)
from connector.protocol.errors import InvariantBroken
from tests.log.growing import a_signer

ORIGIN = "fleet.example/log"
LOG = a_signer(1, ORIGIN)
OTHER = a_signer(2, "other.example/log")
WITNESS = a_signer(3, "city.example/witness")
ROOT = bytes(range(32))
HEAD = Checkpoint(ORIGIN, 7, ROOT)
NOTE = signed(HEAD, [LOG])
TIME_S = 1_760_000_000
roots = st.binary(min_size=32, max_size=32)


def refused(note: str, *verifiers: Verifier) -> str:
    with pytest.raises(NoteRefused) as caught:
        opened(note, verifiers or [LOG.verifier])
    return caught.value.code


def line_of(name: str, data: bytes) -> str:
    return f"\u2014 {name} {base64.b64encode(data).decode()}"


def test_a_note_as_the_format_has_it() -> None:
    text = f"{ORIGIN}\n7\n{base64.b64encode(ROOT).decode()}\n"
    signature = LOG.verifier.key_id + LOG.key.sign(text.encode())
    assert f"{text}\n{line_of(ORIGIN, signature)}\n" == NOTE
    assert body_of(NOTE) == text == HEAD.body
    assert lines_of(NOTE) == [line_of(ORIGIN, signature)]


def test_keys_of_the_published_examples() -> None:
    """The key of the example of golang.org/x/mod/sumdb/note."""
    vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    key = Verifier.parse(vkey)
    assert (key.name, key.kind, key.key_id.hex(), key.vkey) == ("PeterNeumann", ED25519, "c74f20a3", vkey)
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    line = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    assert key.verify(text, base64.b64decode(line)[4:]) is None


@given(st.integers(0, MAX_SIZE), roots)
def test_checkpoints_go_there_and_back(size: int, root: bytes) -> None:
    head = Checkpoint(ORIGIN, size, root)
    assert Checkpoint.parse(head.body) == head
    assert opened(signed(head, [LOG]), [LOG.verifier]) == Opened(head, (Verified(LOG.verifier, None),))


def test_two_keys_of_one_log() -> None:
    newer = a_signer(9, ORIGIN)
    note = signed(HEAD, [LOG, newer])
    assert [each.verifier for each in opened(note, [newer.verifier, LOG.verifier]).verified] == [LOG.verifier, newer.verifier]
    assert [each.verifier for each in opened(note, [newer.verifier]).verified] == [newer.verifier]


def test_a_witness_stands_for_it() -> None:
    note = with_lines(NOTE, [cosignature(body_of(NOTE), WITNESS, TIME_S)])
    assert opened(note, [LOG.verifier, WITNESS.cosigner]).verified == (
        Verified(LOG.verifier, None),
        Verified(WITNESS.cosigner, TIME_S),
    )
    assert opened(note, [WITNESS.cosigner]).verified == (Verified(WITNESS.cosigner, TIME_S),)


def test_a_later_line_of_a_key_takes_the_place_of_the_older() -> None:
    once = with_lines(NOTE, [cosignature(HEAD.body, WITNESS, TIME_S)])
    twice = with_lines(once, [cosignature(HEAD.body, WITNESS, TIME_S + 1)])
    assert opened(twice, [WITNESS.cosigner]).verified == (Verified(WITNESS.cosigner, TIME_S + 1),)
    assert with_lines(twice, []) == twice


def test_a_cosignature_holds_for_its_time_and_its_text() -> None:
    line = cosignature(HEAD.body, WITNESS, TIME_S)
    raw = base64.b64decode(line.split(" ")[2])
    later = raw[:4] + (TIME_S + 1).to_bytes(8, "big") + raw[12:]
    assert refused(with_lines(NOTE, [line_of(WITNESS.name, later)]), WITNESS.cosigner) == "signature-wrong"
    other = signed(Checkpoint(ORIGIN, 8, ROOT), [LOG])
    assert refused(with_lines(other, [line]), LOG.verifier, WITNESS.cosigner) == "signature-wrong"


def test_a_cosignature_is_no_signature_and_the_other_way_round() -> None:
    """The same key under the same name: the key ids differ, and so does what is signed."""
    both = with_lines(NOTE, [cosignature(HEAD.body, LOG, TIME_S)])
    assert {each.time_s for each in opened(both, [LOG.verifier, LOG.cosigner]).verified} == {None, TIME_S}
    raw = base64.b64decode(lines_of(NOTE)[0].split(" ")[2])[4:]
    passed_off = line_of(ORIGIN, LOG.cosigner.key_id + bytes(8) + raw)
    assert refused(with_lines(NOTE, [passed_off]), LOG.cosigner) == "signature-wrong"
    impossible = line_of(ORIGIN, LOG.cosigner.key_id + b"\xff" * 8 + raw)
    assert refused(with_lines(NOTE, [impossible]), LOG.cosigner) == "signature-time"


def test_unknown_signers_are_ignored() -> None:
    unknown = [
        line_of("stranger.example", b"1234" + bytes(64)),
        # A known name with another id, a known id with another name.
        line_of(ORIGIN, b"1234" + bytes(64)),
        line_of("stranger.example", LOG.verifier.key_id + bytes(64)),
        line_of("of.another/kind", b"12345"),
        line_of("\u00e4\u00f6", b"1234" + bytes(2420)),
    ]
    assert opened(with_lines(NOTE, unknown), [LOG.verifier]).verified == (Verified(LOG.verifier, None),)
    assert refused(NOTE, OTHER.verifier, WITNESS.cosigner) == "note-unsigned"
    with pytest.raises(NoteRefused, match="note-unsigned"):
        opened(NOTE, [])


def test_a_known_key_that_does_not_hold_refuses_the_note() -> None:
    wrong = line_of(WITNESS.name, WITNESS.cosigner.key_id + bytes(72))
    assert refused(with_lines(NOTE, [wrong]), LOG.verifier, WITNESS.cosigner) == "signature-wrong"
    short = line_of(WITNESS.name, WITNESS.cosigner.key_id + bytes(71))
    assert refused(with_lines(NOTE, [short]), LOG.verifier, WITNESS.cosigner) == "signature-form"


def test_every_bit_of_what_is_signed_counts() -> None:
    for changed in ("fleet.example/lof", "8", base64.b64encode(EMPTY_ROOT).decode()):
        for at, line in enumerate(HEAD.body.split("\n")[:3]):
            if len(line) == len(changed):
                body = HEAD.body.split("\n")
                body[at] = changed
                text = "\n".join(body)
                assert refused(NOTE.replace(HEAD.body, text)) in {"signature-wrong", "note-origin"}


def test_a_key_signs_once() -> None:
    line = lines_of(NOTE)[0]
    assert refused(f"{NOTE}{line}\n") == "signature-twice"


def test_a_log_signs_its_own_checkpoints_alone() -> None:
    """Who has a key of one log cannot make a checkpoint of another."""
    signature = OTHER.verifier.key_id + OTHER.key.sign(HEAD.body.encode())
    forged = f"{HEAD.body}\n{line_of(OTHER.name, signature)}\n"
    assert refused(forged, LOG.verifier, OTHER.verifier) == "note-origin"
    for signers in ([], [OTHER], [LOG, OTHER]):
        with pytest.raises(InvariantBroken):
            signed(HEAD, signers)


def test_a_name_and_id_mean_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Verifier, "key_id", b"1234")
    assert refused(NOTE, LOG.verifier, Verifier(ORIGIN, ED25519, bytes(32))) == "key-ambiguous"
    assert opened(signed(HEAD, [LOG]), [LOG.verifier, LOG.verifier]).verified == (Verified(LOG.verifier, None),)


def test_a_signature_cannot_be_put_into_the_text() -> None:
    """The text ends at the last empty line; a checkpoint has no empty line in it."""
    inner = signed(Checkpoint(ORIGIN, 9, ROOT), [LOG])
    body = f"{inner}\n"
    outer = f"{body}\n{line_of(ORIGIN, LOG.verifier.key_id + LOG.key.sign(body.encode()))}\n"
    assert refused(outer) == "checkpoint-form"
    assert refused(NOTE.replace("\n\n", "\n\n\n")) in {"checkpoint-form", "signature-wrong"}


@pytest.mark.parametrize("number", ["07", "-1", "+7", "7 ", " 7", "", "0x7", "7_0", "\u0667", str(MAX_SIZE + 1), "9" * 40, "00"])
def test_the_size_has_one_form(number: str) -> None:
    with pytest.raises(NoteRefused, match="checkpoint-"):
        Checkpoint.parse(HEAD.body.replace("\n7\n", f"\n{number}\n"))


@pytest.mark.parametrize(
    "root",
    [
        base64.b64encode(ROOT).decode().rstrip("="),
        base64.b64encode(ROOT).decode().replace("=", "=="),
        # The last two bits do not belong to the root: another text of the same bytes.
        base64.b64encode(ROOT).decode().replace("8=", "9="),
        base64.b64encode(ROOT[1:]).decode(),
        base64.b64encode(ROOT + b"x").decode(),
        base64.urlsafe_b64encode(b"\xff" * 32).decode(),
        base64.b64encode(ROOT).decode() + " ",
        "!" * 44,
        "\u00e4" * 44,
    ],
)
def test_the_root_has_one_form(root: str) -> None:
    body = f"{ORIGIN}\n7\n{root}\n"
    assert body != HEAD.body
    with pytest.raises(NoteRefused, match="checkpoint-root"):
        Checkpoint.parse(body)


@pytest.mark.parametrize(
    "body",
    ["", "\n", ORIGIN, f"{ORIGIN}\n7\n", HEAD.body[:-1], f"\n{HEAD.body}", f"{HEAD.body}\n", HEAD.body.replace("\n", "\r\n")],
)
def test_what_is_no_checkpoint(body: str) -> None:
    with pytest.raises(NoteRefused):
        Checkpoint.parse(body)


def test_extensions_are_part_of_what_is_signed() -> None:
    body = f"{HEAD.body}more\n"
    assert Checkpoint.parse(body) == Checkpoint(ORIGIN, 7, ROOT, ("more",))
    note = signed(Checkpoint(ORIGIN, 7, ROOT, ("more",)), [LOG])
    assert opened(note, [LOG.verifier]).checkpoint.extension == ("more",)
    assert refused(note.replace("more", "less")) == "signature-wrong"
    for wrong in ("", "two\nlines"):
        with pytest.raises((NoteRefused, InvariantBroken)):
            signed(Checkpoint(ORIGIN, 7, ROOT, (wrong,)), [LOG])


LINE = lines_of(NOTE)[0]
DASH = "\u2014"


@pytest.mark.parametrize(
    "note",
    [
        "",
        NOTE[:-1],
        HEAD.body,
        f"{HEAD.body}\n",
        f"{HEAD.body}\n\n",
        NOTE.replace("\u2014", "-"),
        NOTE.replace("\u2014 ", "\u2014"),
        f"{HEAD.body}\n{LINE}\nno line\n",
        f"{HEAD.body}\n{LINE} more\n",
        f"{HEAD.body}\n{LINE[:-1]}\n",
        f"{HEAD.body}\n\u2014 {ORIGIN}  {LINE.split(' ')[2]}\n",
        f"{HEAD.body}\n\u2014  {LINE.split(' ')[2]}\n",
        f"{HEAD.body}\n\u2014 {ORIGIN}\u00a0x {LINE.split(' ')[2]}\n",
        f"{HEAD.body}\n\u2014 a+b {LINE.split(' ')[2]}\n",
        f"{HEAD.body}\n\u2014 {ORIGIN} {base64.b64encode(b'1234').decode()}\n",
        NOTE.replace("\n", "\r\n"),
        f"{HEAD.body}\t\n{LINE}\n",
        f"{HEAD.body}\0\n\n{LINE}\n",
        f"{HEAD.body}\ud800\n\n{LINE}\n",
        f"{HEAD.body}{'x' * MAX_NOTE_BYTES}\n\n{LINE}\n",
        f"{HEAD.body}{DASH * (MAX_NOTE_BYTES // 2)}\n\n{LINE}\n",
        f"{HEAD.body}\n" + f"{LINE}\n" * (MAX_SIGNATURES + 1),
    ],
)
def test_what_is_no_note(note: str) -> None:
    assert refused(note) in {"note-form", "signature-form", "checkpoint-form"}


def test_a_text_of_another_encoding_of_the_signature_is_refused() -> None:
    """Ed25519 signatures of 64 bytes leave bits over in base64: only one of their texts is taken."""
    ends = [f"{LINE[:-2]}{letter}=" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if not LINE.endswith(f"{letter}=")]
    assert {refused(f"{HEAD.body}\n{end}\n") for end in ends} <= {"signature-form", "signature-wrong"}


@given(st.text(max_size=200))
def test_any_text_is_refused_in_one_way(text: str) -> None:
    with pytest.raises(NoteRefused):
        opened(text, [LOG.verifier])
    with pytest.raises(NoteRefused):
        opened(f"{text}\n{LINE}\n", [LOG.verifier])


@given(st.integers(0, len(NOTE) - 1), st.characters())
def test_a_changed_character_is_refused(at: int, character: str) -> None:
    changed = NOTE[:at] + character + NOTE[at + 1 :]
    if changed != NOTE:
        with pytest.raises(NoteRefused):
            opened(changed, [LOG.verifier])


@given(st.sampled_from([ED25519, COSIGNATURE]), roots, st.from_regex(r"[!-*,-~]{1,60}", fullmatch=True))
def test_verifier_keys_go_there_and_back(kind: int, public: bytes, name: str) -> None:
    verifier = Verifier(name, kind, public)
    assert Verifier.parse(verifier.vkey) == verifier


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "++",
        LOG.verifier.vkey + "\n",
        LOG.verifier.vkey.replace("+", "+0", 1),
        LOG.verifier.vkey.replace("fleet", "fleeT"),
        LOG.verifier.vkey.upper(),
        Verifier("a", ED25519, bytes(32)).vkey.replace("a+", " +", 1),
        "x" * 600 + LOG.verifier.vkey,
        f"a+00000000+{base64.b64encode(bytes(33)).decode()}",
        f"a+00000000+{base64.b64encode(b'').decode()}",
        f"a+00000000+{base64.b64encode(bytes([ED25519, *bytes(31)])).decode()}",
        f"a+00000000+{base64.b64encode(bytes([ED25519, *bytes(32)])).decode()}",
    ],
)
def test_what_is_no_verifier_key(vkey: str) -> None:
    with pytest.raises(NoteRefused):
        Verifier.parse(vkey)


def test_a_key_that_is_no_point_refuses_the_note() -> None:
    bad = Verifier(ORIGIN, ED25519, b"\xff" * 32)
    assert refused(f"{HEAD.body}\n{line_of(ORIGIN, bad.key_id + bytes(64))}\n", bad) == "signature-wrong"


def test_only_checkpoints_are_cosigned() -> None:
    with pytest.raises(NoteRefused):
        cosignature("cosignature/v1\ntime 5\nanything\n", WITNESS, TIME_S)
    for time_s in (-1, MAX_SIZE + 1):
        with pytest.raises(InvariantBroken):
            cosignature(HEAD.body, WITNESS, time_s)
    with pytest.raises(NoteRefused):
        with_lines(NOTE, ["no line"])
    with pytest.raises(NoteRefused):
        with_lines(NOTE, [f"{LINE}\n\n{LINE}"])


def test_no_key_is_shown() -> None:
    assert "key" not in repr(LOG)


@pytest.mark.parametrize(
    ("participant", "origin"),
    [
        ("did:web:fleet.example", "fleet.example/log"),
        ("did:web:localhost%3A8443", "localhost:8443/log"),
        ("did:web:localhost%3a8443", "localhost:8443/log"),
        ("did:web:fleet.example:cars:north", "fleet.example/cars/north/log"),
        ("did:web:fleet.example:a%2Fb", "did%3Aweb%3Afleet.example%3Aa%252Fb/log"),
        ("did:web:fleet.example:", "did%3Aweb%3Afleet.example%3A/log"),
        ("did:web:", "did%3Aweb%3A/log"),
        ("did:web:a%0Ab", "did%3Aweb%3Aa%250Ab/log"),
        ("did:key:z6Mk", "did%3Akey%3Az6Mk/log"),
        ("BPNL00000000024R", "BPNL00000000024R/log"),
        ("urn:a b+c\n", "urn%3Aa%20b%2Bc%0A/log"),
    ],
)
def test_the_origin_of_a_participant(participant: str, origin: str) -> None:
    assert origin_of(participant) == origin
    # It is a key name.
    assert a_signer(1, origin).verifier.name == origin


@pytest.mark.parametrize("participant", ["", "x" * 600])
def test_a_participant_without_an_origin(participant: str) -> None:
    with pytest.raises(NoteRefused, match="origin"):
        origin_of(participant)


@given(st.text("aB:%3A2F/.~-\n +", max_size=12), st.text("aB:%3A2F/.~-\n +", max_size=12))
def test_two_participants_have_two_origins(one: str, other: str) -> None:
    ours, theirs = (origin_of(f"did:web:{each}") for each in (one, other))
    same = one.replace("%3a", "%3A") == other.replace("%3a", "%3A")
    assert (ours == theirs) <= same
