"""What the Dataspace Protocol demands and the official test kit does not look at, over HTTP against `carnet serve`."""

from __future__ import annotations

import asyncio
import gzip
import re

import pytest

from tests.conformance import peer
from tests.conformance.conftest import CITY_ADDRESS, DATASETS, INSURER_ADDRESS, Served
from tests.conformance.peer import DEADLINE_S, Caller, Listener, check_refusal, message, pids
from tests.conformance.spoiling import CONTEXT, USE, Json

CATALOG_REQUEST = {"@context": [CONTEXT], "@type": "CatalogRequestMessage"}


def request(dataset: str = "d1", callback: str = INSURER_ADDRESS) -> Json:
    return peer.contract_request(dataset, f"offer-{dataset}", callback)


# -- first messages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "first", "name", "state"),
    [
        ("/negotiations/request", request(), "ContractNegotiation", "REQUESTED"),
        ("/negotiations/offers", peer.contract_offer("their-data", INSURER_ADDRESS), "ContractNegotiation", "OFFERED"),
        ("/transfers/request", peer.transfer_request("agreement-1", INSURER_ADDRESS), "TransferProcess", "REQUESTED"),
    ],
)
async def test_a_first_message_creates_a_process_that_can_be_read(
    insurer: Caller, path: str, first: Json, name: str, state: str
) -> None:
    answer = await insurer.post(path, first)

    assert answer.status == 201
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json["@context"] == [CONTEXT]
    assert (answer.json["@type"], answer.json["state"]) == (name, state)
    theirs = "providerPid" if path.endswith("offers") else "consumerPid"
    ours = {"providerPid": "consumerPid", "consumerPid": "providerPid"}[theirs]
    assert answer.json[theirs] == first[theirs]
    shown = await insurer.get(f"{path.rpartition('/')[0]}/{answer.json[ours]}")
    assert (shown.status, shown.json) == (200, answer.json)


async def test_an_unasked_offer_can_be_ended_by_its_provider(insurer: Caller) -> None:
    begun = await insurer.post("/negotiations/offers", peer.contract_offer("their-data", INSURER_ADDRESS))
    path = f"/negotiations/{begun.json['consumerPid']}"

    ended = await insurer.post(f"{path}/termination", message("ContractNegotiationTerminationMessage", **pids(begun)))

    assert ended.status == 200
    assert (await insurer.get(path)).json["state"] == "TERMINATED"


@pytest.mark.parametrize("path", ["/negotiations/request", "/transfers/request"])
async def test_a_first_request_sent_twice_is_one_process(insurer: Caller, path: str) -> None:
    first = request() if "negotiations" in path else peer.transfer_request("agreement-1", INSURER_ADDRESS)
    answer = await insurer.post(path, first)

    again = await insurer.post(path, first)
    renamed = await insurer.post(path, {**first, "@id": "urn:uuid:the-same-under-another-name"})
    other = await insurer.post(path, {**first, "callbackAddress": f"{INSURER_ADDRESS}/elsewhere"})

    assert (again.status, again.json) == (201, answer.json)
    assert (renamed.status, renamed.json) == (201, answer.json)
    check_refusal(other, "ContractNegotiationError" if "negotiations" in path else "TransferError", 400, "pid-reused")


async def test_a_process_id_is_taken_for_each_participant_apart(insurer: Caller, city: Caller) -> None:
    first = request()
    mine = await insurer.post("/negotiations/request", first)
    theirs = await city.post("/negotiations/request", {**first, "callbackAddress": CITY_ADDRESS})

    assert (mine.status, theirs.status) == (201, 201)
    assert mine.json["providerPid"] != theirs.json["providerPid"]


async def test_a_later_message_sent_twice_is_harmless(insurer: Caller) -> None:
    begun = await insurer.post("/negotiations/request", request())
    path = f"/negotiations/{begun.json['providerPid']}/termination"
    ending = message("ContractNegotiationTerminationMessage", **pids(begun), code="1", reason=["no need"])

    statuses = [(await insurer.post(path, ending)).status for _ in range(3)]

    assert statuses == [200, 200, 200]


# -- who is calling ---------------------------------------------------------------------------------------------------

ENDPOINTS = [
    ("POST", "/catalog/request", "CatalogError"),
    ("GET", "/catalog/datasets/d1", "CatalogError"),
    ("POST", "/negotiations/request", "ContractNegotiationError"),
    ("POST", "/negotiations/offers", "ContractNegotiationError"),
    ("GET", "/negotiations/some", "ContractNegotiationError"),
    ("POST", "/negotiations/some/request", "ContractNegotiationError"),
    ("POST", "/negotiations/some/offers", "ContractNegotiationError"),
    ("POST", "/negotiations/some/events", "ContractNegotiationError"),
    ("POST", "/negotiations/some/agreement", "ContractNegotiationError"),
    ("POST", "/negotiations/some/agreement/verification", "ContractNegotiationError"),
    ("POST", "/negotiations/some/termination", "ContractNegotiationError"),
    ("POST", "/transfers/request", "TransferError"),
    ("GET", "/transfers/some", "TransferError"),
    ("POST", "/transfers/some/start", "TransferError"),
    ("POST", "/transfers/some/suspension", "TransferError"),
    ("POST", "/transfers/some/completion", "TransferError"),
    ("POST", "/transfers/some/termination", "TransferError"),
]


@pytest.mark.parametrize(("method", "path", "name"), ENDPOINTS)
async def test_nobody_is_answered_without_a_known_token(stranger: Caller, method: str, path: str, name: str) -> None:
    body = None if method == "GET" else b"{"
    for headers, code in (
        ({}, "token-missing"),
        ({"Authorization": "Bearer insurer-made-up-token-2"}, "token-unknown"),
        ({"Authorization": "Basic insurer-made-up-token-1"}, "token-unknown"),
        ({"Authorization": "Bearer"}, "token-unknown"),
        ({"Authorization": ""}, "token-unknown"),
    ):
        answer = await stranger.call(method, path, body, **headers)
        check_refusal(answer, name, 401, code)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_versions_and_health_are_for_everybody(fleet: Served, stranger: Caller) -> None:
    versions = await stranger.get(f"{fleet.root}/.well-known/dspace-version")
    health = await stranger.get(f"{fleet.root}/health")

    (entry,) = [entry for entry in versions.json["protocolVersions"] if entry["version"] == "2025-1"]
    assert (entry["path"], entry["binding"]) == ("/dsp/2025-1", "HTTPS")
    assert "@context" not in versions.json
    assert (health.status, health.json) == (200, {"status": "ready"})


# -- whose process it is ----------------------------------------------------------------------------------------------


async def test_somebody_elses_process_looks_like_none(insurer: Caller, city: Caller) -> None:
    negotiation = await insurer.post("/negotiations/request", request())
    transfer = await insurer.post("/transfers/request", peer.transfer_request("agreement-1", INSURER_ADDRESS))
    for path, begun, name, ending in (
        ("negotiations", negotiation, "ContractNegotiationError", "ContractNegotiationTerminationMessage"),
        ("transfers", transfer, "TransferError", "TransferTerminationMessage"),
    ):
        foreign, unknown = begun.json["providerPid"], "urn:uuid:never-seen"
        texts = set()
        for pid in (foreign, unknown):
            shown = await city.get(f"/{path}/{pid}")
            sent = {"providerPid": pid, "consumerPid": "urn:uuid:mine"}
            posted = await city.post(f"/{path}/{pid}/termination", message(ending, **sent))
            code = f"{path.removesuffix('s')}-unknown"
            texts |= {check_refusal(shown, name, 404, code), check_refusal(posted, name, 404, code)}
        assert len(texts) == 1
        assert (await insurer.get(f"/{path}/{foreign}")).json["state"] == "REQUESTED"


async def test_a_negotiation_is_not_a_transfer(insurer: Caller) -> None:
    begun = await insurer.post("/negotiations/request", request())

    answer = await insurer.get(f"/transfers/{begun.json['providerPid']}")

    check_refusal(answer, "TransferError", 404, "transfer-unknown")


async def test_an_agreement_of_somebody_else_is_none(insurer: Caller) -> None:
    answer = await insurer.post("/transfers/request", peer.transfer_request("agreement-2", INSURER_ADDRESS))

    check_refusal(answer, "TransferError", 400, "agreement-unknown")


@pytest.mark.parametrize(
    "callback",
    [
        CITY_ADDRESS,
        "http://127.0.0.1:9/insurer-of-lies",
        "http://127.0.0.1:9/",
        "http://127.0.0.1:9/insurer/../city",
        "http://127.0.0.1:9/insurer/%2e%2e/city",
        "http://127.0.0.1:9/insurer/.%2E/city",
        "http://127.0.0.1:9/insurer/..\\city",
        "http://127.0.0.1:9/insurer?to=",
        "http://127.0.0.1:9@evil.example/insurer",
        "https://evil.example/insurer",
        "file:///etc/passwd",
        "insurer",
    ],
)
async def test_a_callback_must_stand_below_an_address_of_the_sender(insurer: Caller, callback: str) -> None:
    for path, first, name in (
        ("/negotiations/request", request(callback=callback), "ContractNegotiationError"),
        ("/negotiations/offers", peer.contract_offer("their-data", callback), "ContractNegotiationError"),
        ("/transfers/request", peer.transfer_request("agreement-1", callback), "TransferError"),
    ):
        check_refusal(await insurer.post(path, first), name, 400, "callback-foreign")


async def test_a_callback_may_stand_below_an_address_of_the_sender(insurer: Caller) -> None:
    for callback in (f"{INSURER_ADDRESS}/", f"{INSURER_ADDRESS}/deeper"):
        assert (await insurer.post("/negotiations/request", request(callback=callback))).status == 201


# -- the catalogue ----------------------------------------------------------------------------------------------------


async def test_following_the_links_shows_every_dataset_once(insurer: Caller) -> None:
    shown: list[str] = []
    where: str | None = "/catalog/request"
    pages = 0
    while where is not None:
        page = await insurer.post(where, CATALOG_REQUEST)
        assert page.status == 200
        shown += [dataset["@id"] for dataset in page.json["dataset"]]
        pages += 1
        link = re.fullmatch(r'<([^>]+)>; rel="next"', page.headers.get("Link", ""))
        where = None if link is None else link.group(1)

    assert (pages, shown) == (3, list(DATASETS))


async def test_pages_are_followed_by_get_with_what_they_were_narrowed_to(insurer: Caller) -> None:
    wanted = {**CATALOG_REQUEST, "filter": [{"@type": "QuerySpec", "limit": 1, "offset": 1, "text": "d"}]}
    page, shown = await insurer.post("/catalog/request", wanted), list[str]()
    while True:
        assert page.status == 200
        shown += [dataset["@id"] for dataset in page.json["dataset"]]
        link = re.fullmatch(r'<([^>]+)>; rel="next"', page.headers.get("Link", ""))
        if link is None:
            break
        page = await insurer.get(link.group(1))

    assert shown == list(DATASETS)[1:]


async def test_a_page_that_we_never_linked_to_is_refused(insurer: Caller) -> None:
    for token in ("%ff", "w6", "=", "////"):
        answer = await insurer.post(f"/catalog/request?continuationToken={token}", CATALOG_REQUEST)
        check_refusal(answer, "CatalogError", 400, "token-invalid")


@pytest.mark.parametrize("entry", [{"a": "b"}, "text", 7, {"@type": "QuerySpec", "filterExpression": [{"operandLeft": "id"}]}])
async def test_a_filter_that_is_not_understood_is_refused(insurer: Caller, entry: object) -> None:
    answer = await insurer.post("/catalog/request", {**CATALOG_REQUEST, "filter": [entry]})

    check_refusal(answer, "CatalogError", 400, "filter-unsupported")


async def test_an_empty_filter_filters_nothing(insurer: Caller) -> None:
    answer = await insurer.post("/catalog/request", {**CATALOG_REQUEST, "filter": []})

    assert len(answer.json["dataset"]) == 2


@pytest.mark.parametrize("path", ["/catalog/request", "/catalog/datasets/d1"])
async def test_the_catalogue_is_packed_for_those_who_can_unpack(insurer: Caller, path: str) -> None:
    method, body = ("GET", None) if "datasets" in path else ("POST", CATALOG_REQUEST)

    packed = await insurer.call(method, path, body, Accept_Encoding="gzip")
    plain = await insurer.call(method, path, body, Accept_Encoding="identity")

    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(packed.body) == plain.body


async def test_a_dataset_that_is_not_there(insurer: Caller) -> None:
    check_refusal(await insurer.get("/catalog/datasets/d9"), "CatalogError", 404, "dataset-unknown")


# -- the kit's own connector ------------------------------------------------------------------------------------------------


async def test_what_the_kit_is_run_against_wants_its_token(kit_connector: Served, kit: Caller) -> None:
    asked = message("CatalogRequestMessage")
    assert (await kit.post("/catalog/request", asked)).status == 200
    for token in (None, "another-made-up-token-000"):
        async with peer.calling(kit_connector.base, token) as stranger:
            assert (await stranger.post("/catalog/request", asked)).status == 401
            for hook in ("negotiations", "transfers"):
                assert (await stranger.post(f"{kit_connector.root}/tck/{hook}", {})).status == 401


# -- the two tests that the kit disables (TP:02-04, TP_C:02-04), and agreements ---------------------------------------------


async def test_a_consumer_suspends_resumes_and_completes(kit_connector: Served, kit: Caller, kit_listener: Listener) -> None:
    callback = f"http://127.0.0.1:{kit_connector.peer_port}"
    begun = await kit.post("/transfers/request", peer.transfer_request("ATP0204", callback))
    path, named = f"/transfers/{begun.json['providerPid']}", pids(begun)
    started = await kit_listener.expect("TransferStartMessage")

    suspended = await kit.post(f"{path}/suspension", message("TransferSuspensionMessage", **named))
    paused = (await kit.get(path)).json["state"]
    resumed = await kit.post(f"{path}/start", message("TransferStartMessage", **named))
    restarted = await kit_listener.expect("TransferStartMessage")
    completed = await kit.post(f"{path}/completion", message("TransferCompletionMessage", **named))

    assert (suspended.status, paused, resumed.status, completed.status) == (200, "SUSPENDED", 200, 200)
    assert "dataAddress" in started
    assert "dataAddress" in restarted
    assert (await kit.get(path)).json["state"] == "COMPLETED"


async def test_a_connector_suspends_resumes_and_completes_as_consumer(
    kit_connector: Served, kit: Caller, kit_listener: Listener
) -> None:
    hook = {"agreementId": "ATPC0204", "format": "HttpData-PULL", "providerId": "TCK_PARTICIPANT"}
    callback = f"http://127.0.0.1:{kit_connector.peer_port}"
    assert (await kit.post(f"{kit_connector.root}/tck/transfers", {**hook, "connectorAddress": callback})).status == 200
    asked = await kit_listener.expect("TransferRequestMessage")
    path = f"/transfers/{asked['consumerPid']}"
    named = {"consumerPid": asked["consumerPid"], "providerPid": f"peer:{asked['consumerPid']}"}

    address = {"@type": "DataAddress", "endpointType": "https://w3id.org/idsa/v4.1/HTTP", "endpoint": "http://example.com"}
    started = await kit.post(f"{path}/start", message("TransferStartMessage", **named, dataAddress=address))

    assert started.status == 200
    for name in ("TransferSuspensionMessage", "TransferStartMessage", "TransferCompletionMessage"):
        sent = await kit_listener.expect(name)
        assert {key: sent[key] for key in named} == named
    async with asyncio.timeout(DEADLINE_S):
        while (await kit.get(path)).json["state"] != "COMPLETED":
            pass


async def test_an_agreement_must_be_what_was_offered_by_who_offered_it(
    kit_connector: Served, kit: Caller, kit_listener: Listener
) -> None:
    hook = {"datasetId": "ACNC0301", "offerId": "offerACNC0301", "providerId": "TCK_PARTICIPANT"}
    callback = f"http://127.0.0.1:{kit_connector.peer_port}"
    assert (await kit.post(f"{kit_connector.root}/tck/negotiations", {**hook, "connectorAddress": callback})).status == 200
    asked = await kit_listener.expect("ContractRequestMessage")
    path = f"/negotiations/{asked['consumerPid']}"
    named = {"consumerPid": asked["consumerPid"], "providerPid": f"peer:{asked['consumerPid']}"}
    agreement = {
        **{"@type": "Agreement", "@id": "urn:agreement:1", "target": "ACNC0301", "timestamp": "2026-03-01T09:30:00Z"},
        **{"assigner": "TCK_PARTICIPANT", "assignee": "CONNECTOR_UNDER_TEST", "permission": USE},
    }

    for change, code in (
        ({"assigner": "SOMEBODY_ELSE"}, "agreement-party"),
        ({"assignee": "SOMEBODY_ELSE"}, "agreement-party"),
        ({"target": "ACNC0302"}, "agreement-differs"),
        ({"prohibition": [{"action": "odrl:distribute"}]}, "agreement-differs"),
        ({"permission": [{"action": "odrl:sell"}]}, "agreement-differs"),
    ):
        sent = message("ContractAgreementMessage", **named, agreement={**agreement, **change})
        check_refusal(await kit.post(f"{path}/agreement", sent), "ContractNegotiationError", 400, code)
    taken = await kit.post(f"{path}/agreement", message("ContractAgreementMessage", **named, agreement=agreement))

    assert taken.status == 200
    assert (await kit.get(path)).json["state"] == "AGREED"


async def test_an_agreement_id_is_used_once(kit_connector: Served, kit: Caller, kit_listener: Listener) -> None:
    callback = f"http://127.0.0.1:{kit_connector.peer_port}"
    hook = {"datasetId": "ACNC0302", "offerId": "offerACNC0302", "providerId": "TCK_PARTICIPANT", "connectorAddress": callback}
    answers = []
    for _ in range(2):
        assert (await kit.post(f"{kit_connector.root}/tck/negotiations", hook)).status == 200
        asked = await kit_listener.expect("ContractRequestMessage")
        named = {"consumerPid": asked["consumerPid"], "providerPid": f"peer:{asked['consumerPid']}"}
        agreement = {
            **{"@type": "Agreement", "@id": "urn:agreement:twice", "target": "ACNC0302", "permission": USE},
            **{"assigner": "TCK_PARTICIPANT", "assignee": "CONNECTOR_UNDER_TEST", "timestamp": "2026-03-01T09:30:00Z"},
        }
        sent = message("ContractAgreementMessage", **named, agreement=agreement)
        answers.append(await kit.post(f"/negotiations/{asked['consumerPid']}/agreement", sent))

    assert answers[0].status == 200
    check_refusal(answers[1], "ContractNegotiationError", 400, "agreement-id-reused")
