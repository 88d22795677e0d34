"""Time: until when, how long, how often, and what must have happened.

``AGREED_AT`` is the fact when the contract was made, in ms since the epoch; before there is one it would be made now. A fact
about an interval (``TIME_INTERVAL``) is when the action was last exercised, in ms since the epoch.
"""

from __future__ import annotations

from typing import Final

from policies.model import CARNET, ODRL, Operator
from policies.terms.given import by_data_plane, recorded, said
from policies.terms.term import Bucket, Given, Point, Request, Scope, Term, Unknown, World
from policies.terms.values import ORDER, Values, at, by_order, duration, in_order, instant, name, read_as, text

AGREED_AT: Final = f"{CARNET}agreedAt"
DATE_TIME: Final = f"{ODRL}dateTime"
ELAPSED_TIME: Final = f"{ODRL}elapsedTime"
TIME_INTERVAL: Final = f"{ODRL}timeInterval"
DELAY_PERIOD: Final = f"{ODRL}delayPeriod"
EVENT: Final = f"{ODRL}event"

ALWAYS: Final = frozenset(Scope)
RUNNING: Final = frozenset({Scope.TRANSFER, Scope.ONGOING})
EVERYWHERE: Final = (Point.CATALOGUE, Point.NEGOTIATION, Point.TRANSFER, Point.CLOCK)
_ISO: Final = "an ISO 8601 duration in whole seconds, such as P90D"


def now(request: Request, world: World) -> Given:
    """The time of the request."""
    return (at(world.now_ms),)


def agreed_at(request: Request, world: World) -> int | None:
    """When the contract was made; before there is one: now."""
    found = world.facts.get(AGREED_AT)
    if isinstance(found, int):
        return found
    return world.now_ms if request.scope in (Scope.CATALOGUE, Scope.NEGOTIATION) else None


def since_agreement(request: Request, world: World) -> Given:
    """Now, and when the contract was made."""
    start = agreed_at(request, world)
    return Unknown("record when the contract was made") if start is None else (at(world.now_ms), at(start))


def _since_last(request: Request, world: World) -> Given:
    last = world.facts.get(TIME_INTERVAL)
    return (at(world.now_ms), at(last)) if isinstance(last, int) else by_data_plane(TIME_INTERVAL)(request, world)


def by_span(given: Values, operator: Operator, right: Values) -> bool | None:
    """Whether so much time lies between the two given moments; months are those of the calendar."""
    moments, span = [instant(value) for value in given], duration(right[0]) if right else None
    if len(moments) != 2 or moments[0] is None or moments[1] is None or span is None:
        return None
    return in_order(moments[0], operator, span.after(moments[1]))


def _by_event(given: Values, operator: Operator, right: Values) -> bool | None:
    """``gt`` and ``gteq``: all of it has happened; ``lt`` and ``lteq``: none of it."""
    happened = {name(value) for value in given}
    asked = {name(value) for value in right}
    return asked <= happened if operator in (Operator.GT, Operator.GTEQ) else happened.isdisjoint(asked)


TERMS: Final = (
    Term(
        DATE_TIME,
        "operand",
        Bucket.CLOCK,
        said("The time {operator} {value}.", "Die Zeit {operator} {value}.", "La date {operator} {value}."),
        operators=ORDER,
        scopes=ALWAYS,
        points=EVERYWHERE,
        values=read_as(instant, "a moment with its time zone, such as 2027-06-30T23:59:59Z"),
        compare=by_order(instant),
        given=now,
        remedy="ask within the period of the offer",
        moment=True,
    ),
    Term(
        ELAPSED_TIME,
        "operand",
        Bucket.CLOCK,
        said(
            "The time since the contract {operator} {value}.",
            "Die Zeit seit Vertragsschluss {operator} {value}.",
            "Le temps écoulé depuis le contrat {operator} {value}.",
        ),
        operators=ORDER,
        scopes=RUNNING,
        points=(Point.TRANSFER, Point.CLOCK),
        values=read_as(duration, _ISO),
        compare=by_span,
        given=since_agreement,
        remedy="make a new contract",
    ),
    Term(
        TIME_INTERVAL,
        "operand",
        Bucket.METER,
        said(
            "The interval from one time to the next {operator} {value}.",
            "Der Abstand von einem Mal zum nächsten {operator} {value}.",
            "L'intervalle d'une fois à la suivante {operator} {value}.",
        ),
        operators=ORDER,
        scopes=ALWAYS,
        points=(Point.METER,),
        values=read_as(duration, _ISO),
        compare=by_span,
        given=_since_last,
        remedy="ask again once the interval is over",
    ),
    Term(
        DELAY_PERIOD,
        "operand",
        Bucket.SHAPE,
        said(
            "The age of the data {operator} {value}.",
            "Das Alter der Daten {operator} {value}.",
            "L'ancienneté des données {operator} {value}.",
        ),
        operators=frozenset({Operator.EQ, Operator.GTEQ, Operator.GT}),
        scopes=ALWAYS,
        points=(Point.QUERY,),
        values=read_as(duration, _ISO),
        given=by_data_plane(DELAY_PERIOD),
    ),
    Term(
        EVENT,
        "operand",
        Bucket.CLOCK,
        said(
            "The time {operator} the event {value}.",
            "Die Zeit {operator} dem Ereignis {value}.",
            "La date {operator} l'événement {value}.",
        ),
        operators=frozenset({Operator.LT, Operator.LTEQ, Operator.GT, Operator.GTEQ}),
        scopes=RUNNING,
        points=(Point.TRANSFER, Point.CLOCK),
        values=read_as(text, "the name of an event"),
        compare=_by_event,
        given=recorded(EVENT, "record which events have happened"),
        remedy="wait for the event",
        moment=True,
    ),
)
