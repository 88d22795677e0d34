"""The demo from beginning to end: two connectors come up, do business, are checked at each step, and are stopped.

Raises Untrue, NotServing or CarnetError when something did not hold; both connectors are stopped whatever happens.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

from connector.demo import attacks, governed, meeting, scenes, terms
from connector.demo.houses import House, make_houses
from connector.demo.servers import serving
from connector.demo.stage import Stage, Stopwatch
from connector.settings.model import LoggingSettings
from connector.telemetry import configure_logging


async def tell(folder: Path, say: Callable[[str], None], *, keep: bool, program: str) -> None:
    """Run everything in ``folder``; with ``keep`` the connectors stay up until this is cancelled. ``program`` is `carnet`."""
    configure_logging(LoggingSettings(level="error"))
    whole, watch = Stopwatch(), Stopwatch()
    houses = await asyncio.to_thread(make_houses, folder)
    async with AsyncExitStack() as stack:
        await _both(stack, houses)
        say("Carnet: an OEM and a city do business, each with a connector of its own on this machine.")
        for house in houses:
            say(f"   {house.name}  {house.participant_id}  {house.address}")
        say(f"   made from nothing, started and ready   {watch}")
        provider, consumer = [await stack.enter_async_context(house.client()) for house in houses]
        web = await stack.enter_async_context(aiohttp.ClientSession())
        received, agreement = await _play(Stage(*houses, provider, consumer, web, say))
        say(f"Everything held. The whole took {whole}.")
        if keep:
            say("")
            for line in explore(*houses, agreement=agreement, received=received, program=program):
                say(line)
            await asyncio.Event().wait()


async def _both(stack: AsyncExitStack, houses: tuple[House, House]) -> None:
    """Start both at the same time. If one does not come up, the other is stopped with the stack."""
    async with asyncio.TaskGroup() as starting:
        for house in houses:
            starting.create_task(stack.enter_async_context(serving(house)))


async def _play(stage: Stage) -> tuple[Path, str]:
    source = await meeting.publish(stage)
    await terms.refused_offer(stage)
    await meeting.meet(stage)
    offer = await meeting.admit(stage)
    await terms.refused_buyer(stage, offer)
    negotiation = await terms.permitted_buyer(stage, offer)
    agreement: str = negotiation["agreement"]["@id"]
    await terms.counter_offer(stage, offer)
    received = await scenes.transfer(stage, agreement, source)
    await scenes.pause(stage, agreement, source)
    await scenes.terminate(stage, agreement)
    await attacks.steal(stage)
    await attacks.shut_out(stage, agreement, source)
    await scenes.timeline(stage, negotiation)
    contracts = await governed.stock(stage)
    await governed.flow(stage)
    landed = await governed.features(stage, contracts)
    await governed.withdraw(stage, landed, contracts)
    await governed.beside(stage)
    await governed.account(stage, landed)
    return received, agreement


def explore(provider: House, consumer: House, *, agreement: str, received: Path, program: str) -> list[str]:
    """What to try while the connectors are up."""
    carnet, ours, theirs = (shlex.quote(str(each)) for each in (program, consumer.config, provider.config))
    return [
        "Both connectors stay up until Ctrl-C. In another terminal:",
        f"  {carnet} peers list --config {theirs}",
        f"  {carnet} peers show {consumer.participant_id} --config {theirs}",
        f"  {carnet} explain {agreement} --language fr --config {ours}",
        f"  {carnet} simulate {terms.TRIPS} --kind company --config {theirs}",
        f"  {carnet} browse {provider.participant_id} --config {ours}",
        f"  {carnet} negotiate {provider.participant_id} {terms.TRIPS} --purpose MobilityPlanning --config {ours}",
        f"  {carnet} transfer {agreement} --config {ours}",
        f"  {carnet} contracts list --config {ours}",
        f"  {carnet} processes list --config {theirs}",
        f"  {carnet} hello {consumer.participant_id} --config {theirs}",
        f"  {carnet} doctor --peers --config {theirs}",
        f"The file that came: {received}",
        f"Logs: {provider.log} and {consumer.log}",
    ]
