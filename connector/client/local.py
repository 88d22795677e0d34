"""Client of the owner's channel: the Unix socket of a connector, or loopback with the token of its token file.

The command line and the demo speak to running connectors through it and through nothing else. Answers are the channel's own
JSON documents. May import the errors of the protocol, settings and aiohttp; nothing of the connector's inside.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import IO, Any, Final, Self, TypeVar
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from connector.client.persons import CALL_TIMEOUT_S, PUBLISH_TIMEOUT_S, PersonCalls
from connector.protocol.errors import CarnetError, Unavailable
from connector.settings import Settings
from connector.settings.secret import read_token

Document = dict[str, Any]
Result = TypeVar("Result")
WAIT_S: Final = 20
HTTP_OK: Final = 200
PIECE_BYTES: Final = 262_144
HELLO_LOOK_S: Final = 0.1
_BASE: Final = "/carnet/v1"


class Refused(CarnetError):
    """The connector said no: its own code, sentence and HTTP status; and all that it found, where it found several things."""

    def __init__(self, status: int, code: str, detail: str, findings: list[Document] | None = None) -> None:
        super().__init__(code, detail)
        self.status = status
        self.findings = findings or []


class Away(Unavailable):
    """No connector answers there."""


class LocalClient(PersonCalls):
    """One connector, as its owner talks to it; an async context manager.

    Every call raises Refused with the connector's own code, or Away when nobody answers in time.
    """

    def __init__(self, *, socket: str | None = None, url: str = "http://localhost", token: str | None = None) -> None:
        self._where = socket or url
        self._socket = socket
        self._url = url
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._opened: aiohttp.ClientSession | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The client for the connector of these settings. Reads the token file; raises Away if they name no channel."""
        local = settings.local
        if local.socket is not None:
            return cls(socket=str(local.socket))
        if not local.host or not local.port:
            raise Away("channel-none", "the settings name no local channel: set local.socket, or local.host and local.port")
        token = read_token(local.token_file, "local.token_file")
        return cls(url=f"http://{local.host}:{local.port}", token=token.reveal())

    async def __aenter__(self) -> Self:
        connector = aiohttp.UnixConnector(self._socket) if self._socket else aiohttp.TCPConnector()
        self._opened = aiohttp.ClientSession(connector=connector, headers=self._headers)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._opened is not None:
            await self._opened.close()

    # -- state, catalogue, peers --------------------------------------------------------------------------------------

    async def status(self) -> Document:
        """Who the connector is, how many messages wait, whether its data plane is there."""
        return dict(await self._call("GET", "/status"))

    async def publish(self, dataset: str, file: str, **more: Any) -> Document:
        """Offer a file; ``more`` holds title, offers, media_type, open_to; with ``table`` (what is known of it, or ``{}``) the
        rows of a file or folder, shaped by the contract; with ``dry_run`` nothing is published. Gives the dataset, what was found
        in its source, and its releases."""
        given = {key: value for key, value in more.items() if value or (key == "table" and value is not None)}
        return dict(await self._call("POST", "/datasets", {"id": dataset, "file": file, **given}, timeout_s=PUBLISH_TIMEOUT_S))

    async def datasets(self) -> list[Document]:
        """Everything that this connector offers."""
        found: list[Document] = []
        while page := await self._call("GET", f"/datasets?after={_safe(found[-1]['@id']) if found else ''}"):
            found += page
        return found

    async def catalog(self, counterparty: str, address: str | None = None) -> list[Document]:
        """Everything that a peer offers us."""
        return list(await self._call("POST", "/catalog", {"counterparty": counterparty, "address": address}))

    async def dataset(self, counterparty: str, dataset: str, address: str | None = None) -> Document:
        """One dataset of a peer."""
        body = {"counterparty": counterparty, "address": address, "dataset": dataset}
        return dict(await self._call("POST", "/catalog", body))

    async def hello(self, counterparty: str, timeout_s: float = 10.0) -> Document | None:
        """Greet a peer; what it says of itself after that, or None if it said nothing within ``timeout_s`` seconds.

        The answer is a message of its own that nothing announces, so the channel is asked ten times a second.
        """
        before = await self.capabilities(counterparty)
        await self._call("POST", f"/peers/{_safe(counterparty)}/hello")
        try:
            async with asyncio.timeout(timeout_s):
                while (now := await self.capabilities(counterparty)) in (None, before):  # noqa: ASYNC110  # see above
                    await asyncio.sleep(HELLO_LOOK_S)
        except TimeoutError:
            return None
        return now

    async def capabilities(self, counterparty: str) -> Document | None:
        """What a peer last said of itself; None if it never did."""
        try:
            return dict(await self._call("GET", f"/peers/{_safe(counterparty)}/capabilities"))
        except Refused as error:
            if error.code == "capabilities-unknown":
                return None
            raise

    # -- terms --------------------------------------------------------------------------------------------------------

    async def explain(self, what: str, *, language: str = "en", redacted: bool = False) -> Document:
        """What an offer that we published, or an agreement, says in sentences, and how its terms are kept."""
        return dict(await self._call("POST", "/explain", {"what": what, "language": language, "redacted": redacted}))

    async def simulate(self, what: str, **case: Any) -> list[Document]:
        """What a participant would get of an offer, or of each offer of a dataset, that we published.

        ``case`` holds participant, claims, purpose (an IRI), at and agreed (ms since the epoch), language.
        """
        return list(await self._call("POST", "/simulate", {"what": what, **_given(case)}))

    # -- processes ----------------------------------------------------------------------------------------------------

    async def negotiate(self, counterparty: str, dataset: str, offer: Document, **more: Any) -> Document:
        """Begin a negotiation; ``more`` holds role and address."""
        body = {"counterparty": counterparty, "dataset": dataset, "offer": offer, **_given(more)}
        return dict(await self._call("POST", "/negotiations", body))

    async def transfer(self, agreement: str, **more: Any) -> Document:
        """Begin a transfer; ``more`` holds counterparty, sink, format and address."""
        return dict(await self._call("POST", "/transfers", {"agreement": agreement, **_given(more)}))

    async def process(self, process_id: str, *, wait_s: int = 0, version: int = 0) -> Document:
        """A negotiation or transfer, once it has another version or ``wait_s`` seconds have passed."""
        query = f"?wait_s={wait_s}&version={version}" if wait_s else ""
        return dict(await self._call("GET", f"/processes/{_safe(process_id)}{query}", timeout_s=CALL_TIMEOUT_S + wait_s))

    async def wait(
        self,
        process_id: str,
        until: Callable[[Document], bool],
        timeout_s: float,
        seen: Callable[[Document], None] = lambda _: None,
    ) -> Document:
        """The process when ``until`` holds, or as it is after ``timeout_s`` seconds. ``seen`` is called for each version."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        process = await self.process(process_id)
        seen(process)
        while not until(process):
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                break
            newer = await self.process(process_id, wait_s=min(WAIT_S, int(left) + 1), version=process["version"])
            if newer["version"] != process["version"]:
                seen(newer)
            process = newer
        return process

    async def processes(self, kind: str, state: str | None = None) -> list[Document]:
        """All processes of a kind (negotiation or transfer), the oldest first."""
        found: list[Document] = []
        chosen = f"&state={_safe(state)}" if state else ""
        while True:
            page = await self._call("GET", f"/{kind}s?after={_after(found)}{chosen}")
            if not page:
                return found
            found += page

    async def timeline(self, process_id: str) -> list[Document]:
        """What happened in a process, in order."""
        return list(await self._call("GET", f"/processes/{_safe(process_id)}/timeline"))

    async def act(self, process_id: str, name: str, **content: Any) -> Document:
        """Approve, reject, accept, agree, verify, finalize, offer, start, suspend, resume, complete or terminate."""
        return dict(await self._call("POST", f"/processes/{_safe(process_id)}/{_safe(name)}", _given(content)))

    async def assertion(self, process_id: str, token: str) -> str:
        """What renews the token of a transfer's data address at its ``refreshEndpoint``; good once, for a minute."""
        return str((await self._call("POST", f"/transfers/{_safe(process_id)}/assertion", {"token": token}))["assertion"])

    async def data_address(self, process_id: str) -> Document:
        """Where and with which token a started transfer's data can be fetched."""
        return dict(await self._call("GET", f"/transfers/{_safe(process_id)}/data-address"))

    async def progress(self, process_id: str) -> Document:
        """How far the data of a transfer to us are: ``bytes`` of ``total``, each None where it is not known, and whether the
        provider is still ``making`` the file."""
        return dict(await self._call("GET", f"/transfers/{_safe(process_id)}/progress"))

    # -- agreements and letters ---------------------------------------------------------------------------------------

    async def agreements(self) -> list[Document]:
        """Every agreement, in order of their making."""
        found: list[Document] = []
        while page := await self._call("GET", f"/agreements?after={_after(found)}"):
            found += page
        return found

    async def agreement(self, agreement_id: str) -> Document:
        """One agreement with its exact document."""
        return dict(await self._call("GET", f"/agreements/{_safe(agreement_id)}"))

    async def signatures(self, agreement_id: str, counterparty: str | None = None) -> Document:
        """Who has signed an agreement, and the signed document."""
        whose = "" if counterparty is None else f"?counterparty={_safe(counterparty)}"
        return dict(await self._call("GET", f"/agreements/{_safe(agreement_id)}/signatures{whose}"))

    async def receipts(self, agreement: str = "") -> list[Document]:
        """Every receipt, or those of one agreement, in order of their making."""
        found: list[Document] = []
        while page := await self._call("GET", f"/receipts?after={_after(found)}&agreement={_safe(agreement)}"):
            found += page
        return found

    async def statement(self, agreement_id: str, counterparty: str | None = None) -> Document:
        """What is owed under an agreement so far."""
        whose = "" if counterparty is None else f"?counterparty={_safe(counterparty)}"
        return dict(await self._call("GET", f"/agreements/{_safe(agreement_id)}/statement{whose}"))

    async def duties(self, *, overdue: bool = False) -> list[Document]:
        """What has to be erased, in order of its making; with ``overdue`` only what is late."""
        found: list[Document] = []
        while page := await self._call("GET", f"/duties?after={_after(found)}{'&overdue=1' if overdue else ''}"):
            found += page
        return found

    async def happened(self, duty_id: str, counterparty: str, role: str = "consumer") -> Document:
        """The event that a duty to delete waits for has happened."""
        body = {"counterparty": counterparty, "role": role}
        return dict(await self._call("POST", f"/duties/{_safe(duty_id)}/happened", body))

    async def dead_letters(self) -> list[Document]:
        """Messages that were given up."""
        return list(await self._call("GET", "/dead-letters"))

    async def retry(self, letter_id: str) -> None:
        """Send a dead letter again."""
        await self._call("POST", f"/dead-letters/{_safe(letter_id)}/retry")

    async def give_up(self, letter_id: str) -> None:
        """Forget a dead letter."""
        await self._call("DELETE", f"/dead-letters/{_safe(letter_id)}")

    # -- participants -------------------------------------------------------------------------------------------------

    async def peers(self, state: str | None = None) -> list[Document]:
        """Every participant of the registry, or those that stand at ``state``."""
        found: list[Document] = []
        chosen = f"&state={_safe(state)}" if state else ""
        while page := await self._call("GET", f"/peers?after={_safe(found[-1]['id']) if found else ''}{chosen}"):
            found += page
        return found

    async def peer(self, participant: str) -> Document:
        """One participant."""
        return dict(await self._call("GET", f"/peers/{_safe(participant)}"))

    async def add_peer(self, participant: str, **more: Any) -> Document:
        """Write a participant down; ``more`` holds profile, claims, vouched_by."""
        return dict(await self._call("POST", "/peers", {"id": participant, **_given(more)}))

    async def update_peer(self, participant: str, **more: Any) -> Document:
        """Change members of the profile, or replace the claims; ``more`` as for ``add_peer``."""
        return dict(await self._call("PATCH", f"/peers/{_safe(participant)}", _given(more)))

    async def admit_peer(self, participant: str, vouched_by: str, **more: Any) -> Document:
        """Vouch for a participant; ``more`` holds claims and again."""
        body = {"vouched_by": vouched_by, **_given(more)}
        return dict(await self._call("POST", f"/peers/{_safe(participant)}/admit", body))

    async def suspend_peer(self, participant: str, reason: str) -> Document:
        """Take nothing more of a participant, and end what is open with it."""
        return dict(await self._call("POST", f"/peers/{_safe(participant)}/suspend", {"reason": reason}))

    async def expel_peer(self, participant: str, reason: str) -> Document:
        """As ``suspend_peer``, but it comes back by an explicit word only."""
        return dict(await self._call("POST", f"/peers/{_safe(participant)}/expel", {"reason": reason}))

    async def accept_log(self, participant: str, reason: str) -> Document:
        """Accept the log of a participant as it is, although it contradicted itself."""
        return dict(await self._call("POST", f"/peers/{_safe(participant)}/accept-log", {"reason": reason}))

    async def export_peers(self) -> list[Document]:
        """Every entry whole, for another connector or for safe keeping."""
        return list(await self._call("GET", "/peers-export"))

    async def import_peers(self, participants: list[Any], *, again: bool = False) -> list[Document]:
        """Make these entries what they say, all or none; gives those that are new or have changed."""
        body = {"participants": participants, "again": again}
        return list(await self._call("POST", "/peers-import", body, timeout_s=PUBLISH_TIMEOUT_S))

    async def reload_keys(self) -> None:
        """Have the connector read its key files again."""
        await self._call("POST", "/keys/reload")

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            raise RuntimeError("enter the client first: async with LocalClient(...)")
        return self._opened

    async def evidence(self, agreement_id: str, into: IO[bytes], counterparty: str | None = None) -> int:
        """Write the evidence of an agreement, a zip, into a file; how many bytes that were."""
        whose = "" if counterparty is None else f"?counterparty={_safe(counterparty)}"
        target = URL(f"{self._url}{_BASE}/agreements/{_safe(agreement_id)}/evidence{whose}", encoded=True)
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_S), self._session.get(target) as answer:
                if answer.status != HTTP_OK:
                    _understood(answer.status, await answer.read())
                    raise Refused(answer.status, "answer-invalid", "what answers there sends no bundle")
                size = 0
                async for piece in answer.content.iter_chunked(PIECE_BYTES):
                    size += await asyncio.to_thread(into.write, piece)
                return size
        except TimeoutError as error:
            raise Away("connector-silent", f"the connector on {self._where} did not answer in time") from error
        except aiohttp.ClientError as error:
            raise Away("connector-away", f"the connector on {self._where} does not answer, or broke off") from error

    async def _call(self, method: str, path: str, body: Document | None = None, *, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        target = URL(f"{self._url}{_BASE}{path}", encoded=True)
        data = None if body is None else orjson.dumps(body)
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.request(method, target, data=data) as answer,
            ):
                raw = await answer.read()
                return _understood(answer.status, raw)
        except TimeoutError as error:
            raise Away("connector-silent", f"the connector on {self._where} did not answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Away("connector-away", f"no connector answers on {self._where}; start it with `carnet serve`") from error


def once(settings: Settings, work: Callable[[LocalClient], Awaitable[Result]]) -> Result:
    """``work`` with a client of the connector of these settings, for callers without a running loop.

    Ctrl-C cancels the work and raises KeyboardInterrupt.
    """

    chosen = LocalClient.of(settings)

    async def run() -> Result:
        with _interruptible():
            async with chosen as client:
                return await work(client)

    return asyncio.run(run())


@contextmanager
def _interruptible() -> Iterator[None]:
    """Cancel the task of this block on Ctrl-C. What ``asyncio.run`` does about it wakes no loop that is about to sleep: the
    signal then waits for the next answer or deadline."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, task, told = asyncio.get_running_loop(), asyncio.current_task(), False

    def interrupt() -> None:
        nonlocal told
        told = True
        if task is not None:
            task.cancel()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        yield
    except asyncio.CancelledError:
        if told:
            raise KeyboardInterrupt from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _understood(status: int, raw: bytes) -> Any:
    try:
        document = orjson.loads(raw) if raw else None
    except orjson.JSONDecodeError as error:
        raise Refused(status, "answer-invalid", f"what answers there (HTTP {status}) is no connector") from error
    if status < 400:
        return document
    problem = document if isinstance(document, dict) else {}
    found = problem.get("findings")
    findings = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    raise Refused(status, str(problem.get("code", "http")), str(problem.get("detail", f"HTTP {status}")), findings)


def _safe(text: str) -> str:
    return quote(text, safe="")


def _after(found: list[Document]) -> str:
    return _safe(f"{found[-1]['createdAt']}:{found[-1]['id']}" if found else "0:")


def _given(values: Document) -> Document:
    return {key: value for key, value in values.items() if value is not None}
