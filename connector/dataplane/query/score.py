"""A score of driving: one number in place of the features behind it. One Ibis expression, no I/O.

``score = 100 - sum of w * min(1, x / ref)`` over ``WEIGHTS``. Under ``LEAST_KM`` a few events would decide it, so it is null and
``why`` says so. It takes the rows that ``query/features.py`` takes, and says nothing of the features but the distance.
"""

from __future__ import annotations

from typing import Any, Final

import ibis

from connector.dataplane.plan.model import Plan
from connector.dataplane.query.features import by_month

LEAST_KM: Final = 300
WEIGHTS: Final = {
    "braking": (30, 20.0),
    "acceleration": (15, 30.0),
    "night": (15, 0.3),
    "fast": (20, 0.1),
    "distance": (20, 2_000.0),
}
"""Weight and reference of: harsh brakings and accelerations per 100 km; share of distance by night; share of time above
130 km/h; km a month."""
TOO_SHORT: Final = f"fewer than {LEAST_KM} km"


def score(rows: Any, plan: Plan) -> Any:
    """A row for each pseudonym: ``pseudonym``, ``reference`` (if enrolled), ``first_month``, ``last_month`` (YYYY-MM; months
    in which it drove), ``km``, ``score`` (0 to 100, or null) and ``why`` (null, or why there is no score).
    """
    names = ("vehicle", "pseudonym", "reference") if plan.enrolled else ("vehicle", "pseudonym")
    months = by_month(rows, plan)
    whole = months.group_by(*names).aggregate(
        first_month=months.month.min(),
        last_month=months.month.max(),
        months=months.month.nunique(),
        **{name: months[name].sum() for name in ("km", "night_km", "seconds", "share_above_130_s", "brakings", "accelerations")},
    )
    enough = whole.km >= LEAST_KM
    return whole.select(
        *names[1:],
        "first_month",
        "last_month",
        km=whole.km.round(3),
        score=ibis.ifelse(enough, (100 - _lost(whole)).round(1), ibis.null("float64")),
        why=ibis.ifelse(enough, ibis.null("string"), TOO_SHORT),
    )


def _lost(whole: Any) -> Any:
    per_100km = 100 / whole.km.nullif(0)
    found = {
        "braking": whole.brakings * per_100km,
        "acceleration": whole.accelerations * per_100km,
        "night": whole.night_km / whole.km.nullif(0),
        "fast": whole.share_above_130_s / whole.seconds.nullif(0),
        "distance": whole.km / whole.months,
    }
    parts = [weight * ibis.least(1.0, found[name] / ref) for name, (weight, ref) in WEIGHTS.items()]
    return sum(parts[1:], start=parts[0])
