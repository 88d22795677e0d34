"""What one decision costs: CPU to judge the pay-as-you-drive offer, beside the floor of parsing the same offer as JSON.

The offer has three constraints, three duties with four refinements and two prohibitions; everything in it is understood and the
request is permitted, so that nothing is left out. `python -m tests.bench.decide` prints the figures.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Final

import click
import msgspec

from policies.evaluate import evaluate
from policies.model import CARNET
from policies.odrl import read
from policies.terms.actions import READ
from policies.terms.consent import LEGAL_BASIS
from policies.terms.duties import OBTAIN_CONSENT
from policies.terms.metering import REQUESTS_PER_VEHICLE_DAY
from policies.terms.term import Request, Scope, World
from tests.policies.drawn import offer_document

AIM_US: Final = 50.0
ROUNDS: Final = 5
NOW_MS: Final = 1_767_225_600_000
REQUEST: Final = Request(
    Scope.TRANSFER, READ, "urn:asset:mileage", "did:web:buyer.example", {"kind": "company"}, f"{CARNET}UsageBasedInsurance"
)
WORLD: Final = World(NOW_MS, {}, frozenset({LEGAL_BASIS, REQUESTS_PER_VEHICLE_DAY, OBTAIN_CONSENT}))


class Cost(msgspec.Struct, frozen=True):
    """CPU in microseconds: of parsing the offer as JSON, and of one decision."""

    floor_us: float
    decision_us: float

    def lines(self) -> list[str]:
        """For people, in Markdown."""
        return [
            "| CPU to decide | connector | parsing the offer | ratio |",
            "| --- | ---: | ---: | ---: |",
            f"| pay-as-you-drive | {self.decision_us:.1f} µs | {self.floor_us:.1f} µs | {self.decision_us / self.floor_us:.1f} |",
            "",
            f"- below {AIM_US:.0f} µs: {self.decision_us:.1f} µs: {'ok' if self.decision_us < AIM_US else 'missed'}",
        ]


def measured(count: int) -> Cost:
    """The least of some rounds of ``count``, taken in turns, so that a noisy neighbour spoils neither alone."""
    document = offer_document("1")
    written, policy = json.dumps(document), read(document)
    if not evaluate(policy, REQUEST, WORLD).permitted:
        raise AssertionError("the offer is not permitted, so that only a part of it would be measured")
    rounds = [
        (_spent_us(lambda: json.loads(written), count), _spent_us(lambda: evaluate(policy, REQUEST, WORLD), count))
        for _ in range(ROUNDS)
    ]
    floors, decisions = zip(*rounds, strict=True)
    return Cost(min(floors), min(decisions))


def _spent_us(act: Callable[[], object], count: int) -> float:
    began = time.process_time()
    for _ in range(count):
        act()
    return (time.process_time() - began) * 1_000_000 / count


@click.command()
@click.option("--count", default=5000, help="How many in each round.")
def main(count: int) -> None:
    """Print what one decision costs."""
    click.echo("\n".join(measured(count).lines()))


if __name__ == "__main__":
    main()
