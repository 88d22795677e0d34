"""Metrics are counted, and no input can make a new series."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from connector.metrics import KINDS, MESSAGES, RECEIVED, ROLES, SERVERS, STATES, Metrics
from connector.protocol import messages
from connector.protocol.states import Kind, Role, State

ANY = st.text(max_size=20)


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[str]], float]:
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
    }


def test_everything_is_counted() -> None:
    metrics = Metrics()
    metrics.message_received("negotiation", "provider", "ContractRequestMessage", "accepted")
    metrics.message_sent("negotiation", "provider", "ContractAgreementMessage", "delivered")
    metrics.state_entered("negotiation", "provider", "AGREED")
    metrics.request_answered("protocol", 201, 0.02)
    metrics.outbox_pending(7)
    metrics.log_kept(12, 3)
    metrics.dead_letter("transfer", "consumer", "TransferStartMessage")
    metrics.committed("sqlite", 0.001)
    metrics.quota_refused("rate")
    found = samples(metrics)
    received = frozenset({"negotiation", "provider", "ContractRequestMessage", "accepted"})
    assert found["carnet_messages_received_total", received] == 1
    assert found["carnet_process_state_total", frozenset({"negotiation", "provider", "AGREED"})] == 1
    assert found["carnet_http_request_seconds_sum", frozenset({"protocol", "2xx"})] == 0.02
    assert found["carnet_outbox_pending", frozenset()] == 7
    assert (found["carnet_log_size", frozenset()], found["carnet_log_queued", frozenset()]) == (12, 3)
    assert found["carnet_quota_refusals_total", frozenset({"rate"})] == 1


@given(st.lists(st.tuples(ANY, ANY, ANY, ANY), max_size=20))
def test_labels_are_bounded(calls: list[tuple[str, str, str, str]]) -> None:
    metrics = Metrics()
    for kind, role, message, outcome in calls:
        metrics.message_received(kind, role, message, outcome)
        metrics.request_answered(kind, 999, 1.0)
    labels = {value for name, values in samples(metrics) for value in values if not name.endswith("_bucket")}
    assert labels <= {"other", *RECEIVED, *MESSAGES, *KINDS, *ROLES, *SERVERS}


def test_the_protocol_has_nothing_that_would_be_counted_as_other() -> None:
    assert {state.value for state in State} - {"INITIAL"} <= set(STATES)
    assert {kind.value for kind in Kind} <= set(KINDS)
    assert {role.value for role in Role} <= set(ROLES)


def test_two_processes_in_one_test_do_not_share_metrics() -> None:
    first, second = Metrics(), Metrics()
    first.quota_refused("rate")
    assert ("carnet_quota_refusals_total", frozenset({"rate"})) not in samples(second)


def test_every_message_of_the_protocol_has_its_own_series() -> None:
    structs = [value for value in vars(messages).values() if isinstance(value, type) and issubclass(value, msgspec.Struct)]
    names = {struct.__struct_config__.tag for struct in structs}
    assert {name for name in names if str(name).endswith("Message")} <= set(MESSAGES)
