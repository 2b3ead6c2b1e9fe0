"""The phone's start in Chromium: the first one on a 2G network, and a later one on a slow processor."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from playwright.async_api import CDPSession, Page

from bench.rows import Row
from bench.system import running_system
from server.core.clock import today
from server.demo.county import build_county
from server.demo.staff import DEMO_PASSWORDS
from tests.web.browser import Handset, start_browser

KBIT_PER_S, LATENCY_MS = 50, 500
SLOWER = 4
_LIMIT_MS = 180_000
_NETWORK = f"{KBIT_PER_S} kbit/s, {LATENCY_MS} ms"


def measure(seconds: float) -> Iterator[Row]:
    del seconds
    with running_system(workers=0) as system:
        yield from asyncio.run(_measure(system.url))


async def _measure(url: str) -> list[Row]:
    caseworker = next(person for person in build_county(today=today()).staff if person.role == "caseworker")
    async with start_browser() as browser:
        handset = await Handset.unpack(browser, url)
        page = await handset.context.new_page()
        page.set_default_timeout(_LIMIT_MS)
        session = await page.context.new_cdp_session(page)
        received = await _slow_network(session)
        started = time.perf_counter()
        await page.goto(f"{url}/m/", wait_until="commit")
        frame_s = await _until(page, "text=正在打开", started)
        sign_in_s = await _until(page, "input[name=login]", started)
        sign_in_kb = sum(received) / 1024
        await page.fill("input[name=login]", caseworker.login)
        await page.fill("input[name=password]", DEMO_PASSWORDS["caseworker"])
        await page.click("button[type=submit]")
        app_s = await _until(page, "form.pin", started)
        app_kb = sum(received) / 1024
        later_s = await _start_again(page, session)
    return [
        Row(f"first start at {_NETWORK}: the frame", f"{frame_s:.1f} s"),
        Row("… the sign-in", f"{sign_in_s:.1f} s", f"{sign_in_kb:.0f} KB received", "", "≤ 12 s"),
        Row("… signed in, and asked for a PIN", f"{app_s:.1f} s", f"{app_kb:.0f} KB received"),
        Row(
            f"a later start, a processor {SLOWER} times slower: asked for the PIN", f"{later_s:.1f} s", "", "", "≤ 2 s"
        ),
    ]


async def _slow_network(session: CDPSession) -> list[int]:
    """Slow the page's network down; the list grows by the bytes of each finished request."""
    received: list[int] = []

    def note(event: dict[str, Any]) -> None:
        received.append(event["encodedDataLength"])

    session.on("Network.loadingFinished", note)
    await session.send("Network.enable")
    await _set_speed(session, KBIT_PER_S * 1000 / 8, LATENCY_MS)
    return received


async def _set_speed(session: CDPSession, bytes_per_s: float, latency_ms: int) -> None:
    conditions = {"offline": False, "latency": latency_ms}
    await session.send(
        "Network.emulateNetworkConditions",
        {**conditions, "downloadThroughput": bytes_per_s, "uploadThroughput": bytes_per_s},
    )


async def _until(page: Page, selector: str, started: float) -> float:
    await page.locator(selector).first.wait_for()
    return time.perf_counter() - started


async def _start_again(page: Page, session: CDPSession) -> float:
    """With what the service worker holds."""
    await _set_speed(session, -1, 0)
    await page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    await session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    started = time.perf_counter()
    await page.reload(wait_until="commit")
    return await _until(page, "form.pin", started)
