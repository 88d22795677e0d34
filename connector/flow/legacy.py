"""What earlier releases have published, completed with what this one keeps: at the start, once, harmless when repeated.

An offer that says something that cannot be kept here is taken off the catalogue rather than shown as if it could; the log names
it.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from connector.flow.context import Context
from connector.flow.described import rendered
from connector.flow.offers import PublicationRefused, examine
from connector.flow.sight import visibility
from connector.protocol.messages import Document
from connector.store.engine import LostRace
from connector.store.rows import Offered, Published, Visibility
from connector.store.shelf import complete_dataset, keep_visibilities
from connector.telemetry import logger
from policies.delivery import Capabilities

PAGE: Final = 100
log = logger("publish")


async def complete(context: Context) -> int:
    """Complete every dataset that an earlier release has published; how many there were."""
    done, last = 0, ""
    while page := await context.store.shelf.incomplete(last, PAGE):
        for row in page:
            await _complete(context, row)
        done, last = done + len(page), page[-1].id
    if done:
        log.info("what an earlier release published is complete", datasets=done)
    return done


async def _complete(context: Context, row: Published) -> None:
    document: dict[str, Any] = orjson.loads(row.document)
    offers, decides = list[Offered](), list[Visibility]()
    for position, given in enumerate(document.pop("hasPolicy", [])):
        shown, decided = _offer(context, row, given)
        offers.append(Offered(given["@id"], row.id, position, orjson.dumps(shown).decode(), "", decided.digest))
        decides.append(decided)
    title = document.get("http://purl.org/dc/terms/title", "")
    words = f"{row.id}\n{title}".lower()
    statements = [*keep_visibilities(decides), *complete_dataset(row.id, rendered(document), words, offers)]
    try:
        await context.store.commit(statements)
    except LostRace:
        log.info("another replica has completed a dataset", dataset=row.id)


def _offer(context: Context, row: Published, given: Document) -> tuple[Document, Visibility]:
    """The offer as it stands in the catalogue from now on, and who sees it."""
    able = Capabilities()
    try:
        proposal = examine([given], row.id, context.participant_id, able, iter(context.new_id, None))[0]
    except PublicationRefused as refused:
        log.warning("an offer is not shown any more: it cannot be kept", dataset=row.id, offer=given["@id"], why=refused.reason)
        return given, visibility(given, "nobody")
    return proposal.document, visibility(proposal.document, row.open_to)
