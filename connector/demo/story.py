"""The demo from beginning to end: four connectors come up, do business, are checked at each step, and are stopped.

Raises Untrue, NotServing or CarnetError when something did not hold; the connectors are stopped whatever happens.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from connector.cli.init import KEY_FILE
from connector.cli.progress import beating, progress
from connector.demo import acts_account, acts_api, acts_audit, acts_goods, attacks, governed, meeting, scenes, terms
from connector.demo.given import Given, simulated, taken
from connector.demo.given_files import Survey, survey
from connector.demo.given_people import Buyers
from connector.demo.governed import Delivered
from connector.demo.houses import free_ports
from connector.demo.products import FEATURES, FLOW
from connector.demo.recalls import RecallsApi, recalls_api
from connector.demo.stage import NAMES, Stage, Stopwatch
from connector.demo.town import Member, town
from connector.settings.model import LoggingSettings
from connector.telemetry import configure_logging

DAYS: Final = 1
"""Of the simulated fleet: enough for a map of an hour's traffic and for premiums, under the demo's rule."""


@dataclass(frozen=True, slots=True)
class Brought:
    """The user's own data: a CSV or Parquet file or a folder of them, and what its columns mean, if that is given."""

    data: Path
    mapping: Path | None


@dataclass(frozen=True, slots=True)
class Played:
    """What is there at the end."""

    given: Given
    agreed: dict[str, str]
    deliveries: tuple[Delivered, ...]
    files: tuple[Path, ...]
    evidence: acts_audit.Evidence


async def tell(folder: Path, say: Callable[[str], None], *, keep: bool, program: str, brought: Brought | None = None) -> None:
    """Run everything in ``folder``; with ``keep`` the connectors stay up until this is cancelled. ``program`` is `carnet`."""
    configure_logging(LoggingSettings(level="error"))
    say("Carnet: an OEM does business with an insurer, a city and a repairer, all on this machine.")
    whole, looked = Stopwatch(), None
    if brought is not None:
        with progress("Looking at the data") as bar:
            looked = await beating(bar, asyncio.to_thread(survey, brought.data, brought.mapping, folder))
    sources = None if looked is None else {"oem": looked.roots}
    watch = Stopwatch()
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(recalls_api(free_ports(1)[0]))
        calls = {"oem": [f"127.0.0.1:{api.port}"]}
        members = await stack.enter_async_context(town(folder, *NAMES, sources=sources, calls=calls))
        web = await stack.enter_async_context(aiohttp.ClientSession())
        stage = Stage(members, web, say)
        played = await _play(stage, watch.stop(), looked, folder, api)
        if not keep:
            await stack.aclose()
        await acts_audit.audit(stage, played.evidence, stopped=not keep)
        raw = played.given.table_path if looked is None else looked.mapping_file
        made = [raw, played.given.consents_file, *played.files, *played.evidence.files]
        acts_account.files(stage, folder, played.deliveries, made)
        say(f"Everything held. The whole took {whole.stop()}.")
        if keep:
            say("")
            for line in explore(members, played, program):
                say(line)
            await asyncio.Event().wait()


async def _play(stage: Stage, started: Stopwatch, looked: Survey | None, place: Path, api: RecallsApi) -> Played:
    await meeting.arrive(stage, started)
    buyers = Buyers(insurer=stage.members["insurer"].did, repairer=stage.members["repairer"].did)
    folder = stage.oem.folder
    if looked is None:
        given = await acts_goods.have(stage, lambda: simulated(folder, buyers, days=DAYS), "Making a fleet drive")
    else:
        given = await acts_goods.have(stage, lambda: taken(looked, folder, buyers), "Counting the table")
    published, source = await acts_goods.publish(stage, given)
    await meeting.browse(stage, published)
    agreed = await terms.negotiate(stage, published)
    delivered = await governed.deliver(stage, given, agreed)
    withdrawn = await governed.withdraw(stage, given, delivered.get(FEATURES))
    recalls = await acts_api.sell(stage, api)
    stage.act("Ended: what was good a moment ago is dead")
    trips = await scenes.transfer(stage, agreed[terms.TRIPS], source)
    await scenes.pause(stage, agreed[terms.TRIPS], source)
    await scenes.terminate(stage, agreed[terms.TRIPS])
    await attacks.steal(stage)
    await attacks.shut_out(stage, agreed[terms.TRIPS], source)
    deliveries = (*delivered.values(), *([] if withdrawn is None else [withdrawn.later]))
    await acts_account.account(stage, deliveries)
    evidence = await acts_audit.hand_out(stage, place, agreed, withdrawn)
    return Played(given, agreed, deliveries, (trips, recalls), evidence)


def explore(members: dict[str, Member], played: Played, program: str) -> list[str]:
    """What to try while the connectors are up."""
    oem, city = members["oem"], members["city"]
    carnet, ours, theirs = (shlex.quote(str(each)) for each in (program, city.house.config, oem.house.config))
    flow = played.agreed.get(FLOW, played.agreed[terms.TRIPS])
    return [
        "All four connectors stay up until Ctrl-C. In another terminal:",
        f"  {carnet} peers list --config {theirs}",
        f"  {carnet} peers show {city.did} --config {theirs}",
        f"  {carnet} explain {flow} --language fr --config {ours}",
        f"  {carnet} simulate {terms.TRIPS} --kind company --config {theirs}",
        f"  {carnet} browse {oem.did} --config {ours}",
        f"  {carnet} negotiate {oem.did} {terms.TRIPS} --purpose MobilityPlanning --config {ours}",
        f"  {carnet} transfer {played.agreed[terms.TRIPS]} --config {ours}",
        f"  {carnet} contracts list --config {ours}",
        f"  {carnet} processes list --config {theirs}",
        f"  {carnet} hello {city.did} --config {theirs}",
        f"  {carnet} doctor --peers --config {theirs}",
        *(f"  {line}" for line in played.evidence.commands(carnet, theirs)),
        f"The oem's interface as a page: {oem.house.management}/carnet/v1/docs (any name, password in {oem.folder / KEY_FILE})",
        f"Files that came: {' '.join(str(path) for path in played.files)}",
        f"Logs: {' '.join(str(member.house.log) for member in members.values())}",
    ]
