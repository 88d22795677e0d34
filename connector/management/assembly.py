"""Puts together what the operations of the management interface need. Called by ``app.py`` alone."""

from __future__ import annotations

from connector.flow.references import References
from connector.management.business import Business
from connector.management.service import Management
from connector.store.queries import QueryStore


def assemble(m: Management, references: References) -> Business:
    """The use cases over the services."""
    context = m.context
    return Business(
        m=m,
        references=references,
        queries=QueryStore(context.store.engine, context.participant_id),
    )
