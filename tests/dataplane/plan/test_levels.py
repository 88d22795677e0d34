"""What the publisher reads about a plan, in three languages."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from connector.dataplane.plan.levels import sentences
from connector.dataplane.plan.model import Ask
from policies.model import Constraint
from policies.terms.term import Language
from tests.dataplane.plan.plans import ROUND, TABLE, planned, term

ALL = (
    ROUND,
    term("offenceData", "eq", "false"),
    term("enrolment", "eq", "true"),
    term("tripEndCut", "gteq", 500),
    term("tripEndCutTime", "gteq", "PT3M"),
    term("boundingBox", "eq", "3,43,5,45"),
    term("temporalResolution", "gteq", "PT1H"),
    term("samplingInterval", "gteq", "PT5S"),
    term("pseudonymEpoch", "eq", "P1M"),
)
KINDS: tuple[tuple[Constraint, ...], ...] = (
    ALL,
    (term("offenceData", "eq", "false"),),
    (ROUND, term("releaseLevel", "eq", "vdx:L2"), term("sensitivePlaces", "eq", "vdx:Coarsened")),
    (
        term("releaseLevel", "isAnyOf", "vdx:L3", "vdx:Anonymous"),
        term("releaseLevel", "eq", "vdx:L3"),
        term("minGroupSize", "gteq", 10),
    ),
    (term("detail", "eq", "vdx:FeaturesOnly"),),
    (ROUND, term("userRequest", "isAnyOf", "urn:request:1", "urn:request:2")),
    (ROUND, term("userRequest", "eq", "urn:request:1"), term("legalBasis", "eq", "dpv:Consent")),
    (term("detail", "eq", "vdx:ScoreAndMileageOnly"), term("legalBasis", "eq", "dpv:Consent")),
)

WORDS = (
    "pseudonym",
    "usage-based insurance",
    "explicit consent",
    "enrolled",
    "new pseudonym each month",
    "500 m and 180 s",
    "1221 m",
    "agreed area",
    "Sensitive places are removed",
    "1970-01-01T02:00:00Z",
    "3600 s",
    "one row in 5 s",
)


@pytest.mark.parametrize("constraints", KINDS)
def test_a_plan_is_said_alike_in_every_language(constraints: tuple[Constraint, ...]) -> None:
    plan = planned(*constraints)
    said = [sentences(plan, TABLE, language) for language in get_args(Language)]
    assert len({len(one) for one in said}) == 1
    assert all(plan.level in one[0] and plan.recipient in one[1] for one in said)
    assert not any("{" in sentence for one in said for sentence in one)


def test_everything_that_a_plan_does_is_said() -> None:
    full = sentences(planned(*ALL, ask=Ask(after_s=0, before_s=7_200)), TABLE, "en")
    for words in WORDS:
        assert any(words in sentence for sentence in full), words


def test_a_precise_plan_says_so_and_bands_are_named() -> None:
    said = sentences(planned(term("offenceData", "eq", "false")), TABLE, "de")
    assert "Positionen sind genau." in said
    assert "Geschwindigkeit steht in Stufen." in said


def test_a_product_without_consent_or_columns_says_so() -> None:
    table = msgspec.structs.replace(TABLE, bases=("https://w3id.org/dpv#Contract",))
    plan = planned(ROUND, term("legalBasis", "eq", "dpv:Contract"), table=table)
    assert "Without consent of the people concerned: another basis is on record." in sentences(plan, table, "en")
    bare = planned(term("releaseLevel", "eq", "vdx:L3"), term("columns", "eq", "Vehicle.Diagnostics.DTCList"))
    assert "No column of the table." in sentences(bare, TABLE, "en")


def test_at_whose_request_it_leaves_is_said() -> None:
    plan = planned(ROUND, term("userRequest", "isAnyOf", "urn:request:1", "urn:request:2"))
    said = sentences(plan, TABLE, "en")
    (asked,) = (sentence for sentence in said if "user asked" in sentence)
    assert asked.endswith("for the purpose: usage-based insurance (requests: 2).")
    assert not any("with a grant" in sentence for sentence in said)
    both = sentences(
        planned(ROUND, term("userRequest", "eq", "urn:request:1"), term("legalBasis", "eq", "dpv:Consent")), TABLE, "en"
    )
    assert sum("user asked" in sentence or "with a grant" in sentence for sentence in both) == 2
