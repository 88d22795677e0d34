"""What is refused before anybody is known, and that nothing but a request that holds yields a token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.http.client import PeerUnreachable
from connector.identity.did import document_url
from connector.identity.fetcher import ASKED_BURST
from connector.identity.grant import METHOD
from tests.identity.office import (
    CALLER,
    ENDPOINT,
    ISSUER,
    NOW_S,
    RESOURCE,
    SOURCE,
    Caller,
    Form,
    Office,
    office,
    refused,
)
from tests.identity.shelf import page


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Office]:
    async with office(tmp_path / "control.db") as opened:
        yield opened


@pytest.fixture
def caller(here: Office) -> Caller:
    """A stranger whose DID document can be fetched."""
    stranger = Caller()
    here.publish(stranger)
    return stranger


# -- what is refused before -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error", "code", "status"),
    [
        ({"grant_type": None}, "invalid_request", "parameter-missing", 400),
        ({"client_assertion": None}, "invalid_request", "parameter-missing", 400),
        ({"client_assertion_type": ""}, "invalid_request", "parameter-missing", 400),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type", "unsupported-grant-type", 400),
        ({"grant_type": "password\n\"{}"}, "unsupported_grant_type", "unsupported-grant-type", 400),
        ({"client_assertion_type": "urn:ietf:params:oauth:x"}, "invalid_client", "assertion-type", 401),
        ({"client_secret": "x"}, "invalid_client", "client-method", 401),
        ({"client_id": "did:web:other.example"}, "invalid_client", "assertion-client", 401),
        ({"resource": None}, "invalid_target", "resource-unknown", 400),
        ({"resource": ISSUER}, "invalid_target", "resource-unknown", 400),
        ({"resource": RESOURCE + "/"}, "invalid_target", "resource-unknown", 400),
        ({"client_assertion": "no.token.here"}, "invalid_client", "token-encoding", 401),
    ],
)  # fmt: skip
async def test_the_form(here: Office, caller: Caller, changes: Form, error: str, code: str, status: int) -> None:
    refused(await here.ask(caller.form(**changes), caller.proof()), error, code, status)
    assert not here.shelf.asked


@pytest.mark.parametrize(
    ("form", "error", "code"),
    [
        ([("scope", "catalog"), ("scope", "catalog")], "invalid_request", "parameter-twice"),
        ([("anything", ""), ("anything", "")], "invalid_request", "parameter-twice"),
        ([("resource", RESOURCE), ("resource", RESOURCE)], "invalid_target", "resource-twice"),
    ],
)
async def test_each_parameter_once(here: Office, form: list[tuple[str, str]], error: str, code: str) -> None:
    refused(await here.authority.token(form, [], None, SOURCE), error, code)


async def test_no_other_way_to_authenticate(here: Office, caller: Caller) -> None:
    answer = await here.ask(caller.form(), caller.proof(), authorization="Basic Y2FsbGVyOng=")
    refused(answer, "invalid_client", "client-method", 401)
    assert answer.headers["WWW-Authenticate"] == f'{METHOD} realm="{ISSUER}"'


async def test_unknown_parameters_are_passed_over(here: Office, caller: Caller) -> None:
    here.read(await here.ask(caller.form(audience="somebody"), caller.proof()))


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": RESOURCE}, "token-audience"),
        ({"aud": ENDPOINT}, "token-audience"),
        ({"aud": [ISSUER]}, "token-claim-type"),
        ({"exp": NOW_S + 301}, "token-lifetime"),
        ({"iat": NOW_S - 200, "exp": NOW_S - 30}, "token-expired"),
        ({"iat": NOW_S + 31, "exp": NOW_S + 60}, "token-not-yet"),
        ({"exp": None}, "token-claim-missing"),
        ({"jti": None}, "assertion-client"),
        ({"jti": ""}, "assertion-client"),
        ({"sub": "did:web:other.example"}, "assertion-client"),
        ({"iss": "did:web:other.example"}, "assertion-client"),
        ({"iss": [CALLER], "sub": [CALLER]}, "assertion-client"),
        ({"iss": "did:web:a\0b", "sub": "did:web:a\0b"}, "assertion-client"),
        ({"iss": "x" * 2049, "sub": "x" * 2049}, "assertion-client"),
        ({"typ": "JWT"}, "token-type"),
        ({"typ": "at+jwt"}, "token-type"),
        ({"kid": "did:web:other.example#one"}, "did-key-unknown"),
    ],
)
async def test_the_assertion(here: Office, caller: Caller, claims: dict[str, Any], code: str) -> None:
    refused(await here.ask(caller.form(caller.assertion(**claims)), caller.proof()), "invalid_client", code, 401)
    assert await here.store.participant(CALLER) is None


async def test_a_strangers_key_proves_nothing(here: Office, caller: Caller) -> None:
    liar = Caller()
    refused(await here.ask(liar.form(), liar.proof()), "invalid_client", "token-signature", 401)
    refused(await here.ask(caller.form(liar.assertion()), caller.proof()), "invalid_client", "token-signature", 401)


async def test_the_proof(here: Office, caller: Caller) -> None:
    refused(await here.ask(caller.form(), caller.proof(), caller.proof()), "invalid_dpop_proof", "proof-twice")
    refused(await here.ask(caller.form(), caller.proof(url=RESOURCE)), "invalid_dpop_proof", "proof-url")
    refused(await here.ask(caller.form(), caller.proof(now_s=NOW_S - 91)), "invalid_dpop_proof", "token-expired")
    refused(await here.ask(caller.form(), caller.assertion()), "invalid_dpop_proof", "token-header")


async def test_a_document_that_cannot_be_had_now(here: Office, caller: Caller) -> None:
    here.shelf.pages[document_url(CALLER)] = PeerUnreachable("timeout", "no answer in time")
    answer = await here.ask(caller.form(), caller.proof())
    refused(answer, "temporarily_unavailable", "client-document-unavailable", 503)
    here.shelf.pages[document_url(CALLER)] = page(b"{")
    refused(await here.ask(caller.form(), caller.proof()), "invalid_client", "client-document", 401)


async def test_one_address_has_us_fetch_so_much_and_no_more(here: Office) -> None:
    strangers = [Caller(f"did:web:s{number}.example") for number in range(ASKED_BURST + 1)]
    answers = [await here.ask(each.form(), each.proof()) for each in strangers]
    refused(answers[-2], "invalid_client", "client-document", 401)
    refused(answers[-1], "temporarily_unavailable", "too-many-documents", 429)
    assert int(answers[-1].headers["Retry-After"]) >= 1


# -- nothing else yields a token ------------------------------------------------------------------------------------------


def _spoilt(text: str, place: int, letter: str) -> str:
    place %= len(text)
    return text[:place] + letter + text[place + 1 :]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["grant_type", "client_assertion_type", "client_assertion", "resource", "client_id", "proof"]),
    place=st.integers(0, 2000),
    letter=st.sampled_from("AQgw09-_.=+ \n\0é"),
)
async def test_no_letter_of_a_request_can_be_changed(here: Office, caller: Caller, name: str, place: int, letter: str) -> None:
    form, proof = caller.form(client_id=CALLER), caller.proof()
    values = {**form, "proof": proof}
    spoilt = _spoilt(values[name], place, letter)
    # A second signature may hold for the same text (ECDSA); what is changed here is the text.
    if spoilt == values[name]:
        return
    values[name] = spoilt
    proof = values.pop("proof")
    answer = await here.ask(values, proof)
    assert answer.status in (400, 401), answer.body
    assert "access_token" not in answer.body


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    form=st.lists(st.tuples(st.text(max_size=20), st.text(max_size=50)), max_size=6),
    dpop=st.lists(st.text(max_size=50), max_size=2),
)
async def test_anything_at_all_is_answered(here: Office, form: list[tuple[str, str]], dpop: list[str]) -> None:
    base = [pair for pair in Caller().form().items() if pair[0] not in dict(form)]
    for sent in (form, base + form):
        answer = await here.authority.token(sent, dpop, None, SOURCE)
        assert answer.status in (400, 401, 429)
        assert "access_token" not in answer.body
