"""Recall and precision of each check on planted frauds and honest visits."""

import asyncio
from collections.abc import Iterator

import server.worker  # noqa: F401  importing registers every task
from bench.rows import Row
from bench.system import System, running_system
from server.core import jobs
from server.core.services import Services, open_services
from server.core.settings import load_settings
from tests.makers.cunning_frauds import Caught, plant_tricks
from tests.makers.frauds import Score, plant
from tests.makers.honest_visits import Heard, plant_honest
from tests.makers.visits import Ground

HONEST, EACH = 150, 6


def measure(seconds: float) -> Iterator[Row]:
    del seconds  # measures a fixed set of visits
    with running_system(workers=0) as system:
        scores, tricks, honest = asyncio.run(_plant(system))
    planted = [score for score in scores if score.planted or score.wrong]
    yield Row(
        f"frauds planted among {HONEST} honest visits: found",
        f"{sum(score.found for score in planted)} of {sum(score.planted for score in planted)}",
        f"{sum(score.wrong for score in planted)} false positives",
    )
    for score in scores:
        yield Row(f"check {score.code}", *_describe(score))
    for trick in tricks:
        target = trick.must or ""
        yield Row(f"near the limit: {trick.name}", f"{trick.found} of {trick.planted} found", trick.code, "", target)
    for group in honest:
        raised = ", ".join(f"{code} {count}" for code, count in sorted(group.raised.items())) or "nothing"
        verdict = "all required" if group.raised and not group.wrong else ""
        yield Row(
            f"honest: {group.name}", f"{raised} in {group.visits} visits", verdict, "", "what the domain requires"
        )


def _describe(score: Score) -> tuple[str, str]:
    if not score.planted and not score.wrong:
        return "not planted", ""
    recall = "–" if score.recall is None else f"{score.recall:.2f}"
    precision = "–" if score.precision is None else f"{score.precision:.2f}"
    return f"recall {recall}, precision {precision}", f"{score.planted} planted, {score.wrong} wrong"


async def _plant(system: System) -> tuple[list[Score], list[Caught], list[Heard]]:
    settings = load_settings(system.environment)
    async with open_services(settings) as services:
        ground = await Ground.open(services)
        scores = await plant(ground, honest=HONEST, each=EACH, run_jobs=lambda: _run_jobs(services))
        tricks = await plant_tricks(ground, each=EACH, run_jobs=lambda: _run_jobs(services))
        return scores, tricks, await plant_honest(ground, each=EACH, run_jobs=lambda: _run_jobs(services))


async def _run_jobs(services: Services) -> None:
    app = jobs.build_worker(services)
    async with app.open_async():
        await app.run_worker_async(
            queues=jobs.queue_names(),
            wait=False,
            concurrency=1,
            install_signal_handlers=False,
            listen_notify=False,
        )
