"""A page as a person's browser shows it: headless Chromium, driven over its DevTools protocol, cut off from every network.

It collects what goes wrong on the page and whatever the page asks for; tests say what there should have been.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.requirement import missing

START_S: Final = 60.0
CALL_S: Final = 30.0
MAX_MESSAGE_BYTES: Final = 64_000_000
NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SWITCHES: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-quic",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-port=0",
)
KEYS: Final = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Escape": 27, "Enter": 13, "Tab": 9}


class Page:
    """One page. ``errors``: exceptions, messages of errors and refused loads, as text. ``asked``: every address it asked for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.errors: list[str] = []
        self.asked: list[str] = []
        self._socket = socket
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._loaded = asyncio.Event()
        self._told = asyncio.Event()

    async def open(self, file: Path) -> None:
        """Show a file, and forget what there was of another."""
        self._loaded.clear()
        self.errors.clear()
        self.asked.clear()
        await self.call("Page.navigate", url=file.as_uri())
        async with asyncio.timeout(CALL_S):
            await self._loaded.wait()

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript, of a promise once it is kept. Raises AssertionError where it throws."""
        told = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def saw(self, text: str) -> None:
        """Wait until ``errors`` hold a text: some are told after the page is loaded. Raises AssertionError where none comes."""
        try:
            async with asyncio.timeout(CALL_S):
                while text not in " ".join(self.errors):
                    self._told.clear()
                    await self._told.wait()
        except TimeoutError:
            raise AssertionError(f"{text!r} is not in {self.errors}") from None

    async def press(self, key: str) -> None:
        """A key goes down and up, wherever the focus is."""
        for kind in ("rawKeyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key])

    async def point(self, selector: str) -> None:
        """The mouse goes to the middle of an element."""
        await self._mouse("mouseMoved", *await self._middle(selector))

    async def click(self, selector: str) -> None:
        """The mouse goes down and up in the middle of an element."""
        at = await self._middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            await self._mouse(kind, *at, button="left", clickCount=1)

    async def look(self, *, scheme: str = "light", medium: str = "", width: int = 1100, height: int = 1250) -> None:
        """How the page is seen: ``light`` or ``dark``, on a screen or in ``print``, and how large."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.call("Emulation.setEmulatedMedia", media=medium, features=features)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self.call("Emulation.setDeviceMetricsOverride", **size)

    async def scripts(self, *, on: bool) -> None:
        """Whether scripts run in what is opened from now on."""
        await self.call("Emulation.setScriptExecutionDisabled", value=not on)

    async def photograph(self, file: Path) -> None:
        """What is to be seen, as a PNG."""
        shot = await self.call("Page.captureScreenshot", format="png")
        await asyncio.to_thread(file.write_bytes, base64.b64decode(shot["data"]))

    async def call(self, method: str, **params: Any) -> Any:
        """A command of the DevTools protocol and its result. Raises AssertionError where Chromium refuses it."""
        number = len(self._calls) + 1
        self._calls[number] = answer = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(CALL_S):
            told = await answer
        assert "error" not in told, told["error"]
        return told["result"]

    async def listen(self) -> None:
        """Take what Chromium says until it hangs up."""
        async for message in self._socket:
            told = message.json()
            if "id" in told:
                self._calls[told["id"]].set_result(told)
            else:
                self._take(told["method"], told["params"])
                self._told.set()

    def _take(self, event: str, told: Any) -> None:
        if event == "Page.loadEventFired":
            self._loaded.set()
        elif event == "Network.requestWillBeSent":
            self.asked.append(told["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.errors.append(str(told["exceptionDetails"]))
        elif event == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.errors.append(str(told["entry"]))
        elif event == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.errors.append(str(told["args"]))

    async def _middle(self, selector: str) -> tuple[float, float]:
        await self.evaluate(f"document.querySelector({selector!r}).scrollIntoView({{block: 'nearest'}})")
        box = await self.evaluate(f"document.querySelector({selector!r}).getBoundingClientRect().toJSON()")
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    async def _mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)


@asynccontextmanager
async def chromium(folder: Path) -> AsyncIterator[Page]:
    """An empty page of a Chromium whose profile lies in ``folder``, new and of its own. Skips the test where there is none."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        missing("this needs Chromium (Debian: apt-get install chromium)")
    profile = folder / "profile"
    process = await asyncio.create_subprocess_exec(
        program, *SWITCHES, f"--user-data-dir={profile}", "about:blank", stdout=DEVNULL, stderr=DEVNULL, start_new_session=True
    )
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, connect=CALL_S)) as web:
            address = await _address(web, process, profile / "DevToolsActivePort")
            async with web.ws_connect(address, max_msg_size=MAX_MESSAGE_BYTES) as socket:
                page = Page(socket)
                # Not a task group: what a test asserts on the page should fail as that, and not as a group.
                listening = asyncio.create_task(page.listen())
                try:
                    for part in ("Page", "Runtime", "Log", "Network"):
                        await page.call(f"{part}.enable")
                    yield page
                finally:
                    listening.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await listening
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _address(web: aiohttp.ClientSession, process: Process, port: Path) -> str:
    """Where the one page that is open takes commands; Chromium writes its port to a file once it listens."""
    async with asyncio.timeout(START_S):
        while not (await asyncio.to_thread(port.exists) and (lines := (await asyncio.to_thread(port.read_text)).split())):
            assert process.returncode is None, f"Chromium ended with {process.returncode}"
            await asyncio.sleep(0.05)
        while True:
            async with web.get(f"http://127.0.0.1:{lines[0]}/json/list") as answer:
                for target in await answer.json():
                    if target["type"] == "page":
                        return str(target["webSocketDebuggerUrl"])
            await asyncio.sleep(0.05)


def kept(name: str, folder: Path) -> Path:
    """Where a picture goes: to the folder that ``CARNET_TEST_ARTIFACTS`` names, otherwise to ``folder``."""
    place = Path(os.environ.get("CARNET_TEST_ARTIFACTS") or folder)
    place.mkdir(parents=True, exist_ok=True)
    return place / name
