"""What the connector counts and times, for Prometheus.

Every label comes from a closed list below, so that no peer can make a series: never a participant, a process id or
a path. A value outside its list is counted as `other`. One `Metrics` belongs to one process and has its own
registry; nothing here is global.

May import prometheus-client only.
"""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

OTHER = "other"
KINDS = ("catalog", "negotiation", "transfer", "version")
ROLES = ("consumer", "provider")
MESSAGES = (
    "CatalogRequestMessage",
    "DatasetRequestMessage",
    "ContractRequestMessage",
    "ContractOfferMessage",
    "ContractNegotiationEventMessage",
    "ContractAgreementMessage",
    "ContractAgreementVerificationMessage",
    "ContractNegotiationTerminationMessage",
    "TransferRequestMessage",
    "TransferStartMessage",
    "TransferCompletionMessage",
    "TransferSuspensionMessage",
    "TransferTerminationMessage",
)
# What became of a message: taken, seen before, refused by a rule, refused for what it is, or not delivered.
RECEIVED = ("accepted", "repeated", "refused", "invalid", "unauthorized", "error")
SENT = ("delivered", "retried", "refused", "dead")
STATES = (
    "REQUESTED",
    "OFFERED",
    "ACCEPTED",
    "AGREED",
    "VERIFIED",
    "FINALIZED",
    "TERMINATED",
    "STARTED",
    "SUSPENDED",
    "RESUMED",
    "COMPLETED",
)
SERVERS = ("protocol", "local", "management", "signaling", "data")
STATUS_CLASSES = ("2xx", "3xx", "4xx", "5xx")
QUOTAS = ("rate", "in_flight")
ENGINES = ("sqlite", "postgres")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_REQUEST_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_COMMIT_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0)


class Metrics:
    """The metrics of one process. Times are in seconds, as Prometheus wants them."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self._received = Counter(
            "carnet_messages_received_total",
            "Protocol messages from peers.",
            ("kind", "role", "message", "outcome"),
            registry=registry,
        )
        self._sent = Counter(
            "carnet_messages_sent_total",
            "Attempts to deliver protocol messages to peers.",
            ("kind", "role", "message", "outcome"),
            registry=registry,
        )
        self._states = Counter("carnet_process_state_total", "States entered.", ("kind", "role", "state"), registry=registry)
        self._requests = Histogram(
            "carnet_http_request_seconds",
            "Time from the first byte of a request to the end of its answer.",
            ("server", "status"),
            buckets=_REQUEST_BUCKETS_S,
            registry=registry,
        )
        self._pending = Gauge("carnet_outbox_pending", "Messages that wait for delivery.", registry=registry)
        self._dead = Counter("carnet_dead_letters_total", "Messages given up.", ("kind", "role", "message"), registry=registry)
        self._commits = Histogram(
            "carnet_store_commit_seconds",
            "Time of a commit, waiting for its turn included.",
            ("engine",),
            buckets=_COMMIT_BUCKETS_S,
            registry=registry,
        )
        self._log_size = Gauge("carnet_log_size", "Leaves in the contract log.", registry=registry)
        self._log_queued = Gauge("carnet_log_queued", "Leaves that wait for the contract log.", registry=registry)
        self._refusals = Counter("carnet_quota_refusals_total", "Requests refused by a quota.", ("quota",), registry=registry)

    def message_received(self, kind: str, role: str, message: str, outcome: str) -> None:
        """One message from a peer and what became of it (`RECEIVED`)."""
        self._received.labels(*_process(kind, role), _one_of(message, MESSAGES), _one_of(outcome, RECEIVED)).inc()

    def message_sent(self, kind: str, role: str, message: str, outcome: str) -> None:
        """One attempt of delivery and what became of it (`SENT`)."""
        self._sent.labels(*_process(kind, role), _one_of(message, MESSAGES), _one_of(outcome, SENT)).inc()

    def state_entered(self, kind: str, role: str, state: str) -> None:
        """A process of ours is now in `state`."""
        self._states.labels(*_process(kind, role), _one_of(state, STATES)).inc()

    def request_answered(self, server: str, status: int, seconds: float) -> None:
        """One HTTP request to one of our servers; `status` is the code of the answer."""
        self._requests.labels(_one_of(server, SERVERS), _one_of(f"{status // 100}xx", STATUS_CLASSES)).observe(seconds)

    def log_kept(self, size: int, queued: int) -> None:
        """How many leaves are in the contract log that this process writes, and how many wait."""
        self._log_size.set(size)
        self._log_queued.set(queued)

    def outbox_pending(self, count: int) -> None:
        """How many messages wait now."""
        self._pending.set(count)

    def dead_letter(self, kind: str, role: str, message: str) -> None:
        """A message was given up after its deadline or a final refusal."""
        self._dead.labels(*_process(kind, role), _one_of(message, MESSAGES)).inc()

    def committed(self, engine: str, seconds: float) -> None:
        """One commit of the store."""
        self._commits.labels(_one_of(engine, ENGINES)).observe(seconds)

    def quota_refused(self, quota: str) -> None:
        """A request was refused because a participant asked too much (`QUOTAS`)."""
        self._refusals.labels(_one_of(quota, QUOTAS)).inc()

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format (`CONTENT_TYPE`)."""
        return generate_latest(self._registry)


def _process(kind: str, role: str) -> tuple[str, str]:
    return _one_of(kind, KINDS), _one_of(role, ROLES)


def _one_of(value: str, known: Sequence[str]) -> str:
    return value if value in known else OTHER
