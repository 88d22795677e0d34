"""Puts together what the operations of the management interface need. Called by ``app.py`` alone."""

from __future__ import annotations

from connector.flow.references import References
from connector.identity.assertions import Assertions
from connector.management.business import Business
from connector.management.service import Management
from connector.store.queries import QueryStore


def assemble(m: Management, assertions: Assertions) -> Business:
    """The use cases over the services. Tokens are renewed with the client that catalogues are read with."""
    context = m.context
    return Business(
        m=m,
        references=References(context, assertions, m.browser.caller.client),
        queries=QueryStore(context.store.engine, context.participant_id),
    )
