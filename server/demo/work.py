"""Visits of the last weeks in every state, so that queue, overview and map have something to show on first sight.

They are walked over HTTP by the same steps as the demo visit, through the running API and worker, while whoever has
started the demo already looks around. The pair whose sign-in `make run` prints keeps its own visits.
"""

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from rich.console import Console

from server.core.clock import CHINA, utc_now
from server.core.ids import new_id
from server.demo.console import Step
from server.demo.device import Device, Document, StepFailed
from server.demo.visit import (
    acquire_lease,
    attest_visit,
    check_receipt,
    list_led_assignments,
    open_visit,
    pull_work,
    push_visit,
    record_visit,
    sign_in_partner,
    upload_photos,
    wait_until_verified,
)
from server.demo.walk import PLANTED, Walk

Ending = Literal["accepted", "returned", "escalated", "spot_check", "waiting", "unattested", "without_photos"]
_NOTHING: frozenset[str] = frozenset()
_FAR, _EARLY = frozenset({"visit.far_from_home"}), frozenset({"photo.time_off"})


class Plan(NamedTuple):
    """How a visit ends, how many days ago it was, and what is wrong with it."""

    ending: Ending
    days_ago: int
    planted: frozenset[str] = _NOTHING


# The oldest first, as they came. The last ones wait for a supervisor.
PLANS = (
    Plan("accepted", 20),
    Plan("accepted", 16, _FAR),
    Plan("returned", 12, _EARLY),
    Plan("accepted", 9),
    Plan("spot_check", 6, PLANTED),
    Plan("escalated", 5, _EARLY),
    Plan("waiting", 3, PLANTED),
    Plan("unattested", 2),
    Plan("waiting", 2, _FAR),
    Plan("without_photos", 1),
    Plan("waiting", 0),
)
REASONS = {
    "accepted": "照片、定位与答案一致，同意。",
    "returned": "一张材料照片的拍摄时间早于走访三小时，请说明原因并补拍。",
    "spot_check": "结束位置离家较远，且有照片早于走访，抽查核实。",
    "escalated": "材料照片早于走访，请县级督查。",
}
_RECORDING: tuple[Step, ...] = (pull_work, record_visit, push_visit)


async def load_demo_work(url: str, screen: Console) -> int:
    """Walk every plan and return how many visits were made. A home that refuses does not stop the others."""
    made = 0
    async with contextlib.AsyncExitStack() as connections:
        scout = Walk(url, [], connections)
        due = _iterate_due(scout)
        for number, plan in enumerate(PLANS):
            caseworker, assignment = await anext(due, (None, None))
            if caseworker is None or assignment is None:
                break
            walk = Walk(url, [], connections, planted=plan.planted, ended_at=_end_by_day(plan.days_ago, number))
            walk.caseworker, walk.assignment = caseworker, assignment
            try:
                await _walk(walk, plan)
                made += 1
                screen.print(f"{plan.ending}: {walk.household['number']}", markup=False)
            except StepFailed as failed:
                screen.print(f"{plan.ending}: {failed}", markup=False)
    return made


def _end_by_day(days_ago: int, number: int) -> datetime:
    """Return when the visit ended: by daylight in China, whenever the demo is started."""
    now = utc_now().astimezone(CHINA)
    day = now.replace(hour=9, minute=50, second=0) - timedelta(days=days_ago) + timedelta(minutes=37 * number)
    return day if day < now - timedelta(minutes=10) else day - timedelta(days=1)


async def _iterate_due(walk: Walk) -> AsyncIterator[tuple[Device, Document]]:
    """Yield reviews with the caseworker who leads them, one of each caseworker in turn, from the last one."""
    caseworkers = list(walk.staff("caseworker"))[2:]
    led: list[tuple[Device, list[Document]]] = []
    for person in reversed(caseworkers):
        device = await walk.sign_in(person)
        assignments = list_led_assignments(device, await device.pull("assignments"))
        led.append((device, [assignment for assignment in assignments if assignment["kind"] == "review"]))
    while any(assignments for _, assignments in led):
        for device, assignments in led:
            if assignments:
                yield device, assignments.pop()


async def _walk(walk: Walk, plan: Plan) -> None:
    await sign_in_partner(walk)
    for step in _RECORDING:
        await step(walk)
    if plan.ending == "without_photos":
        await attest_visit(walk)
        return
    if plan.ending != "unattested":
        await attest_visit(walk)
    await upload_photos(walk)
    await wait_until_verified(walk)
    if plan.ending == "unattested":
        return
    await check_receipt(walk)
    if plan.ending != "waiting":
        await acquire_lease(walk)
        await open_visit(walk)
        await _decide(walk, plan)


async def _decide(walk: Walk, plan: Plan) -> None:
    """Uphold what was planted where it matters to the decision, and dismiss the rest as explained."""
    findings = walk.detail["findings"]
    upheld = [finding["id"] for finding in findings if plan.ending != "accepted" and finding["code"] in plan.planted]
    body = {
        "outcome": plan.ending,
        "reason": REASONS[plan.ending],
        "upheld": upheld,
        "dismissed": [finding["id"] for finding in findings if finding["id"] not in upheld],
    }
    headers = {"Idempotency-Key": str(new_id()), "If-Match": f'"{walk.lease["version"]}"'}
    await walk.supervisor.post(f"/desk/v1/visits/{walk.visit['id']}/decision", body, headers=headers)
