"""Puts the management interface together, for ``app.py``: its services, its lists, and the references that it hands out."""

from __future__ import annotations

from connector.flow.browse import Browser
from connector.flow.context import Context
from connector.flow.plane import Plane
from connector.flow.references import References
from connector.identity.assertions import Assertions
from connector.management.business import Business
from connector.management.sealing import SecretBox
from connector.management.service import Management
from connector.store.definitions import DefinitionStore
from connector.store.queries import QueryStore


def assemble(context: Context, plane: Plane, browser: Browser, assertions: Assertions, box: SecretBox) -> Business:
    """What ``operations`` needs. Tokens are renewed with the client that catalogues are read with."""
    engine = context.store.engine
    return Business(
        m=Management(context, plane, browser, DefinitionStore(engine), box),
        references=References(context, assertions, browser.caller.client),
        queries=QueryStore(engine, context.participant_id),
    )
