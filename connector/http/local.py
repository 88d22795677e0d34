"""Our own interface, ``/carnet/v1`` in plain JSON, and the owner's channel that serves it: on a Unix socket that only the owner
can open, or on loopback with a token.

One thin handler for each use case. The command line speaks to a running connector through the channel and never opens its
database. What is here beside the interface (state and metrics for whoever watches the process) is served by the channel alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from connector.api.approvals import Approvals
from connector.api.description import Description
from connector.api.diary import Diary
from connector.api.events import Events
from connector.api.guard import Guard, OwnerGuard
from connector.api.idempotency import Repeats
from connector.api.operation import Handler, Operation
from connector.api.router import MAX_BODY_BYTES, mount, supervisor
from connector.flow.browse import Browser
from connector.flow.context import Context
from connector.flow.plane import Plane
from connector.flow.references import References
from connector.flow.watch import Watch
from connector.http import problems
from connector.http.local_agreements import LocalAgreements
from connector.http.local_bundles import LocalBundles
from connector.http.local_consents import LocalConsents
from connector.http.local_datasets import LocalDatasets
from connector.http.local_evidence import LocalEvidence
from connector.http.local_keys import LocalKeys
from connector.http.local_letters import LocalLetters
from connector.http.local_own_consents import LocalOwnConsents
from connector.http.local_peers import LocalPeers
from connector.http.local_processes import LocalProcesses
from connector.http.local_state import LocalState
from connector.http.local_subjects import LocalSubjects
from connector.http.local_terms import LocalTerms
from connector.http.local_transfers import LocalTransfers
from connector.log.access import LogAccess
from connector.metrics import Metrics
from connector.protocol.errors import NotAuthenticated
from connector.settings.secret import Secret


@dataclass(frozen=True, slots=True)
class LocalServer:
    """The owner's channel. ``token`` is None on the Unix socket, where the file's mode is the guard. ``keys`` is what reads our
    keys again; without it there is no such operation. ``log`` is the contract log, where there is one. ``more``: operations of
    other parts."""

    context: Context
    browser: Browser
    plane: Plane
    metrics: Metrics
    watch: Watch
    token: Secret | None
    keys: LocalKeys | None = None
    references: References | None = None
    log: LogAccess | None = None
    repeats: Repeats | None = None
    diary: Diary | None = None
    more: Sequence[Operation] = ()

    def operations(self) -> list[Operation]:
        """All of ``/carnet/v1``, for every listener that serves it."""
        parts = (
            LocalState(self.context, self.plane, self.metrics),
            LocalDatasets(self.context, self.browser, self.plane),
            LocalProcesses(self.context, self.watch),
            Approvals(self.context, self.plane),
            LocalTransfers(self.context, self.plane, self.references),
            LocalAgreements(self.context),
            LocalEvidence(self.context),
            LocalBundles(self.context, self.log),
            LocalTerms(self.context),
            LocalPeers(self.context),
            LocalLetters(self.context),
            LocalConsents(self.plane),
            LocalOwnConsents(self.plane),
            LocalSubjects(self.context, self.plane),
            Events(self.context, self.watch),
            Description(),
        )
        return [*(operation for part in parts for operation in part.operations()), *self.more]

    def application(self) -> web.Application:
        """The channel: every route needs the token where there is one."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[supervisor("local", self.metrics)])
        guard, state = OwnerGuard(self.token), LocalState(self.context, self.plane, self.metrics)
        app.router.add_get("/health", _guarded(guard, state.status))
        app.router.add_get("/metrics", _guarded(guard, state.exposition))
        own = [] if self.keys is None else self.keys.operations()
        mount(app, [*self.operations(), *own], guard, repeats=self.repeats, diary=self.diary)
        return app


def _guarded(guard: Guard, handle: Handler) -> Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        try:
            await guard.caller(request)
        except NotAuthenticated as error:
            return problems.problem_answer(error)
        return await handle(request)

    return serve
