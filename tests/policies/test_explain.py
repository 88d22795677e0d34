"""Sentences for people: what they say, in three languages, and what the counterparty never reads in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.compare import redline
from policies.compile import compile_agreement
from policies.delivery import Capabilities
from policies.evaluate import evaluate
from policies.explain import (
    Reader,
    Statement,
    counterparty,
    explain_decision,
    explain_delivery,
    explain_policy,
    explain_redline,
)
from policies.model import (
    CARNET,
    DPV,
    ODRL,
    XSD,
    Action,
    Asset,
    Compound,
    Conflict,
    Constraint,
    Duty,
    Lit,
    Logic,
    Party,
    Permission,
    Policy,
    Prohibition,
    Ref,
    Value,
)
from policies.odrl import read
from policies.shown import listed, shown
from policies.terms.registry import REGISTRY
from policies.terms.term import Language, Request, Scope, World
from tests.policies import drawn

EURO: Final = "https://www.wikidata.org/entity/Q4916"
DECLARED: Final = frozenset(iri for iri, known in REGISTRY.items() if any(point.of_data_plane for point in known.points))
INSURER: Final = Request(
    Scope.NEGOTIATION,
    f"{ODRL}read",
    "urn:asset:mileage",
    "did:web:insurer.example",
    {"kind": "sme", "country": "FR", "membership": ["a", "b"], "gatekeeper": False},
)
THEY: Final = counterparty(INSURER)
USE: Final = Action(f"{ODRL}use")


def said(statements: tuple[Statement, ...]) -> list[str]:
    return ["  " * one.depth + one.sentence for one in statements]


def only(*constraints: Constraint | Compound) -> Policy:
    return Policy("Offer", "urn:o", (Permission(USE, constraints),))


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "unit", "en", "de", "fr"),
    [
        (Lit("3.00", f"{XSD}decimal"), EURO, "3.00 EUR", "3,00 EUR", "3,00 EUR"),
        (Lit("3"), "https://money.example/units/GoldCoin", "3 gold coin", "3 gold coin", "3 gold coin"),
        (Lit("2.5", f"{XSD}decimal"), None, "2.5", "2,5", "2,5"),
        (Lit("P90D", f"{XSD}duration"), None, "90 days", "90 Tage", "90 jours"),
        (Lit("P1M"), None, "1 month", "1 Monat", "1 mois"),
        (Lit("P1Y2M10DT2H30M1S"), None, "1 year 2 months 10 days 2 hours 30 minutes 1 second",
         "1 Jahr 2 Monate 10 Tage 2 Stunden 30 Minuten 1 Sekunde", "1 an 2 mois 10 jours 2 heures 30 minutes 1 seconde"),
        (Lit("PT0S"), None, "0 seconds", "0 Sekunden", "0 secondes"),
        (Lit("2027-06-30T23:59:59Z"), None, *("2027-06-30 23:59:59 UTC",) * 3),
        (Lit("true", f"{XSD}boolean"), None, "yes", "ja", "oui"),
        (Ref(f"{CARNET}Insurance"), None, "insurance", "Versicherung", "assurance"),
        (Ref(f"{CARNET}PublicBody"), None, "public body", "öffentliche Stelle", "organisme public"),
        (Lit(f"{DPV}Marketing"), None, "marketing", "Marketing", "marketing"),
        (Ref("http://publications.europa.eu/resource/authority/place/FRA_MPL"), None, *("FRA_MPL",) * 3),
        (Ref("https://words.example/terms#SomeConcept"), EURO, *("some concept",) * 3),
        (Ref("urn:request:42"), None, *("urn:request:42",) * 3),
        (Lit("cx.quality.base:1"), None, *("cx.quality.base:1",) * 3),
    ],
)  # fmt: skip
def test_values_are_shown_for_people(value: Value, unit: str | None, en: str, de: str, fr: str) -> None:
    assert [shown(value, unit, language) for language in ("en", "de", "fr")] == [en, de, fr]


def test_several_values_are_listed_and_many_are_counted() -> None:
    assert listed((), None, "en") == ""
    assert listed((Lit("a"), Lit("b"), Lit("c")), None, "en") == "a, b or c"
    assert listed(tuple(Lit(str(one)) for one in range(10)), None, "de") == "0, 1, 2, 3, 4, 5, 6, 7 (+2)"


# --- policies --------------------------------------------------------------------------------------------------------

PAYD: Final[dict[Language, list[str]]] = {
    "en": [
        "Profile: https://w3id.org/carnet/terms/profile/1.",
        "From: did:web:oem.example.",
        "Permitted: read the data.",
        "  About: urn:asset:mileage.",
        "  The purpose is a kind of usage-based insurance.",
        "  The legal basis is one of consent or contract.",
        "  The number of requests for a vehicle in a day is at most 2.",
        "  In return: pay.",
        "    The price is 3.00 EUR.",
        "    What is counted is vehicle.",
        "    The interval from one time to the next is 1 month.",
        "  In return: delete the data.",
        "    The time since the contract is at most 90 days.",
        "  In return: obtain the consent of the people concerned.",
        "Prohibited: sell the data.",
        "  About: urn:asset:mileage.",
        "Prohibited: find out whom the data are about.",
        "  About: urn:asset:mileage.",
    ],
    "de": ["Profil: https://w3id.org/carnet/terms/profile/1.", "Von: did:web:oem.example.", "Erlaubt: die Daten lesen."],
    "fr": ["Profil : https://w3id.org/carnet/terms/profile/1.", "De : did:web:oem.example.", "Permis : lire les données."],
}


@pytest.mark.parametrize("language", PAYD)
def test_the_insurers_offer_reads_as_a_text(language: Language) -> None:
    found = said(explain_policy(read(drawn.offer_document("1")), Reader(language)))
    assert found[: len(PAYD[language])] == PAYD[language]
    assert len(found) == len(PAYD["en"])


def test_nested_rules_read_as_nested_sentences() -> None:
    until = Constraint(f"{ODRL}dateTime", f"{ODRL}lt", (Lit("2027-01-01T00:00:00Z"),))
    unknown = Constraint("urn:nobody:knows", "urn:likes", (Lit("x"),))
    elsewhere = Constraint(f"{ODRL}count", f"{ODRL}lteq", reference="urn:limit")
    inform = Duty(Action(f"{ODRL}inform"), parties=((f"{ODRL}informedParty", Party("did:web:them.example")),))
    rule = Permission(
        USE, (Compound(Logic.XONE, (until, Compound(Logic.AND, (unknown, elsewhere)))),), target=Asset("urn:x", True, (until,))
    )
    ban = Prohibition(Action("urn:fly"), remedies=(Duty(Action(f"{ODRL}delete"), consequences=(inform,)),))
    policy = Policy("Set", "urn:p", (rule,), (ban,), (inform,), conflict=Conflict.PERM, inherits=("urn:base",))
    assert said(explain_policy(policy)) == [
        "Further terms: urn:base.",
        "Where rules contradict each other: perm.",
        "Permitted: use the data.",
        "  About: urn:x.",
        "    The time is before 2027-01-01 00:00:00 UTC.",
        "  Exactly one of these:",
        "    The time is before 2027-01-01 00:00:00 UTC.",
        "    All of these:",
        "      urn:nobody:knows urn:likes x (a term that nobody here knows).",
        "      The number of requests is at most what stands at urn:limit.",
        "Prohibited: urn:fly (a term that nobody here knows).",
        "  If it is done nevertheless: delete the data.",
        "    If it is not done: inform.",
        "      informed party: did:web:them.example.",
        "Owed: inform.",
        "  informed party: did:web:them.example.",
    ]
    assert [one.path for one in explain_policy(policy)][4] == "/permission/0/target/refinement/0"
    hidden = said(explain_policy(policy, THEY))
    assert "      urn:nobody:knows urn:likes (not shown) (a term that nobody here knows)." in hidden
    assert "  informed party: a party that is not shown." in hidden


def test_the_counterparty_sees_of_lists_only_itself() -> None:
    def constraint(operand: str, *values: str) -> Policy:
        return only(Constraint(operand, f"{ODRL}isAnyOf", tuple(Lit(one) for one in values)))

    def last(policy: Policy) -> str:
        return explain_policy(policy, THEY)[-1].sentence

    participants = f"{CARNET}participant"
    assert last(constraint(participants, "did:web:rival.example")) == "The participant is one of (not shown)."
    assert last(constraint(participants, "did:web:rival.example", INSURER.assignee)) == (
        "The participant is one of did:web:insurer.example (not shown)."
    )
    assert last(constraint(participants, INSURER.assignee)) == "The participant is one of did:web:insurer.example."
    assert last(constraint(f"{CARNET}consumerKind", f"{CARNET}PublicBody")) == "The kind of consumer is one of (not shown)."
    assert last(constraint(f"{CARNET}consumerKind", f"{CARNET}Company")) == "The kind of consumer is one of company."
    assert last(constraint(f"{CARNET}membership", "a", "secret")) == "The membership is one of a (not shown)."
    assert "gatekeeper" in last(constraint(f"{ODRL}recipient", f"{CARNET}DmaGatekeeper"))
    assert last(constraint(f"{ODRL}recipient", "did:web:rival.example")) == "The recipient is one of (not shown)."


# --- decisions -------------------------------------------------------------------------------------------------------


def test_a_permitted_request_is_told_what_it_still_owes() -> None:
    offer = read(drawn.offer_document("1"))
    world = World(0, {f"{ODRL}obtainConsent": True}, DECLARED)
    decision = evaluate(offer, replace(INSURER, purpose=f"{CARNET}PayAsYouDrive"), world)
    assert said(explain_decision(decision)) == [
        "The request is permitted.",
        "  Still owed: pay.",
        "  Still owed: delete the data.",
    ]
    other = replace(offer, permissions=(*offer.permissions, Permission(USE, duties=(Duty(Action(f"{ODRL}attribute")),))))
    assert len(explain_decision(evaluate(other, replace(INSURER, purpose=f"{CARNET}PayAsYouDrive"), world))) == 3


REFUSED: Final[dict[Language, list[str]]] = {
    "en": [
        "The request is refused.",
        "  Not satisfied: The purpose is a kind of usage-based insurance.",
        "    To change that: ask for a purpose that the offer allows.",
    ],
    "de": [
        "Die Anfrage ist abgelehnt.",
        "  Nicht erfüllt: Der Zweck fällt unter: nutzungsabhängige Versicherung.",
        "    Erfüllt ist es, wenn gilt: Der Zweck fällt unter: nutzungsabhängige Versicherung.",
    ],
    "fr": [
        "La demande est refusée.",
        "  Non satisfait : La finalité relève de : assurance à l'usage.",
        "    C'est satisfait si : La finalité relève de : assurance à l'usage.",
    ],
}


@pytest.mark.parametrize("language", REFUSED)
def test_a_refusal_says_why_and_what_would_satisfy(language: Language) -> None:
    offer = read(drawn.offer_document("1"))
    decision = evaluate(offer, replace(INSURER, purpose=f"{DPV}Marketing"), World(0, {}, DECLARED))
    for reader in (Reader(language), counterparty(INSURER, language)):
        assert said(explain_decision(decision, reader)) == REFUSED[language]


def refusal(policy: Policy, request: Request = INSURER, world: World = World(0)) -> list[str]:  # noqa: B008  # a frozen value
    return [line.strip() for line in said(explain_decision(evaluate(policy, request, world), THEY))][1:]


def test_every_kind_of_refusal_has_its_sentence() -> None:
    final = "Nothing that you could do would change that."
    assert refusal(Policy("Offer", "urn:o")) == ["Nothing permits what was asked.", final]
    assert refusal(Policy("Offer", "urn:o", (Permission(Action(f"{ODRL}sell")),))) == ["The rule is about another action.", final]
    assert refusal(replace(only(), target=Asset("urn:other"))) == ["The rule is about something else.", final]
    assert refusal(replace(only(), assignee=Party("did:web:rival.example"))) == ["The rule is for somebody else.", final]
    assert refusal(replace(only(), prohibitions=(Prohibition(USE),))) == ["What was asked is prohibited.", final]
    assert refusal(replace(only(), profiles=("urn:x",))) == ["A part of the policy is not understood here.", final]
    assert refusal(only(Constraint(f"{CARNET}consumerKind", f"{ODRL}isA", (Ref(f"{CARNET}PublicBody"),)))) == [
        "Not satisfied: The kind of consumer is a kind of (not shown).",
        "To change that: only participants of another kind may ask.",
    ]
    assert refusal(only(Constraint("urn:x", f"{ODRL}eq", (Lit("secret"),)))) == [
        "Cannot be told: urn:x is (not shown) (a term that nobody here knows).",
        final,
    ]
    pay = replace(only(), obligations=(Duty(Action(f"{ODRL}compensate")),))
    assert refusal(pay, INSURER, World(0, {f"{ODRL}compensate": False})) == [
        "A duty was not fulfilled: pay.",
        "To change that: settle what is due.",
    ]
    late = Constraint(f"{ODRL}dateTime", f"{ODRL}gt", (Lit("2027-01-01T00:00:00Z"),))
    assert refusal(only(Compound(Logic.XONE, (late, late)))) == [
        "Not satisfied: Exactly one of these: "
        "[The time is after 2027-01-01 00:00:00 UTC. The time is after 2027-01-01 00:00:00 UTC.]",
        final,
    ]
    assert refusal(only(Compound(Logic.XONE, ()))) == ["Cannot be told: Exactly one of these: [nothing]", final]


# --- deliveries and redlines -----------------------------------------------------------------------------------------


def test_a_delivery_says_how_each_term_is_kept() -> None:
    found = said(explain_delivery(compile_agreement(read(drawn.offer_document("1")), Capabilities(DECLARED))))
    assert found == [
        "Permitted: read the data. — enforced at: transfer, data request",
        "The purpose is a kind of usage-based insurance. — enforced at: negotiation, transfer, data request",
        "The legal basis is one of consent or contract. — enforced at: query plan",
        "The number of requests for a vehicle in a day is at most 2. — enforced at: meter",
        "Owed: pay. — evidenced by: statement from receipts signed by both",
        "  The price is 3.00 EUR. — evidenced by: statement from receipts signed by both",
        "  What is counted is vehicle. — evidenced by: statement from receipts signed by both",
        "  The interval from one time to the next is 1 month. — evidenced by: statement from receipts signed by both",
        "Owed: delete the data. — evidenced by: signed attestation of deletion",
        "  The time since the contract is at most 90 days. — evidenced by: signed attestation of deletion",
        "Owed: obtain the consent of the people concerned. — enforced at: query plan",
        "Prohibited: sell the data. — legal only",
        "Prohibited: find out whom the data are about. — legal only",
    ]


def test_what_cannot_be_kept_is_for_the_owner_only() -> None:
    choice = Compound(Logic.OR, (Constraint(f"{ODRL}purpose", f"{ODRL}eq", (Ref(f"{DPV}Marketing"),)),))
    wrong = Constraint(f"{ODRL}purpose", f"{ODRL}likes", (Ref("urn:x"),))
    delivery = compile_agreement(only(choice, wrong), Capabilities(formats=frozenset()))
    owner = said(explain_delivery(delivery))
    assert owner[1:4] == [
        "At least one of these: — kept by its parts",
        "  The purpose is marketing. — enforced at: negotiation, transfer, data request",
        "The purpose ? urn:x. — nobody can keep this here",
    ]
    assert owner[4].startswith("Cannot be kept at /permission/0/constraint/1/operator: ")
    assert owner[5] == "  To change that: use an operator of ODRL."
    assert owner[6] == "Cannot be kept at /: the asset can be had in no transfer format here"
    assert said(explain_delivery(delivery, THEY)) == owner[:4]


def test_a_redline_reads_term_by_term() -> None:
    offer = read(drawn.offer_document("1"))
    (rule,) = offer.permissions
    purpose = Constraint(f"{ODRL}purpose", f"{ODRL}isA", (Ref(f"{CARNET}PayAsYouDrive"),))
    more = Constraint(f"{ODRL}count", f"{ODRL}lteq", (Lit("5"),))
    asked = replace(
        rule,
        action=USE,
        constraints=(purpose, *rule.constraints[1:], more),
        duties=rule.duties[1:],
        assignee=Party("did:web:rival.example"),
        target=Asset("urn:asset:other"),
    )
    changed = replace(offer, permissions=(asked,), profiles=())
    assert said(explain_redline(redline(offer, changed))) == [
        "Removed: https://w3id.org/carnet/terms/profile/1",
        "Widened: read the data → use the data",
        "Added: did:web:rival.example",
        "Changed: urn:asset:mileage → urn:asset:other",
        "Narrowed: The purpose is a kind of usage-based insurance. → The purpose is a kind of insurance by distance.",
        "Added: The number of requests is at most 5.",
        "Removed: In return: pay. The price is 3.00 EUR. What is counted is vehicle. "
        "The interval from one time to the next is 1 month.",
    ]
    assert "Added: a party that is not shown" in said(explain_redline(redline(offer, changed), THEY))
    assert said(explain_redline(redline(offer, offer), Reader("fr"))) == ["Les conditions sont les mêmes."]


# --- for any policy --------------------------------------------------------------------------------------------------

SECRET: Final = "did:web:secret-rival.example"
readers = st.builds(Reader, st.sampled_from(["en", "de", "fr"]), st.sampled_from(["full", "redacted"]))


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(drawn.policies(), drawn.policies(), readers)
def test_everything_can_be_said(one: Policy, other: Policy, reader: Reader) -> None:
    decision = evaluate(one, INSURER, World(0))
    delivery = compile_agreement(one, Capabilities())
    for found in (
        explain_policy(one, reader),
        explain_decision(decision, reader),
        explain_delivery(delivery, reader),
        explain_redline(redline(one, other), reader),
    ):
        assert all(line.sentence for line in found)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    drawn.policies(), st.sampled_from([f"{CARNET}participant", f"{CARNET}membership", f"{ODRL}recipient", "urn:x"]), st.booleans()
)
def test_the_counterparty_never_reads_another_ones_name(policy: Policy, operand: str, forbid: bool) -> None:
    listed_ = Constraint(operand, f"{ODRL}isAnyOf", (Lit(SECRET), Ref(SECRET)))
    secret = Party(SECRET)
    rule = Permission(
        USE, (listed_,), (Duty(Action(f"{ODRL}inform"), parties=((f"{ODRL}informedParty", secret),)),), assignee=secret
    )
    bans = (Prohibition(USE, (listed_,)),) if forbid else ()
    found = replace(policy, permissions=(*policy.permissions, rule), prohibitions=(*policy.prohibitions, *bans), assigner=secret)
    lines = (
        *explain_policy(found, THEY),
        *explain_decision(evaluate(found, INSURER, World(0)), THEY),
        *explain_delivery(compile_agreement(found, Capabilities()), THEY),
        *explain_redline(redline(policy, found), THEY),
    )
    assert not any(SECRET in line.sentence for line in lines)
    assert any(SECRET in line.sentence for line in explain_policy(found))
