"""A village whose homes are given aid: the paid homes of rosters, and the steps of a batch as an office takes them."""

from typing import Any

from server.core.database import open_session
from server.core.ids import new_id
from server.models.people import StaffRole
from tests import days
from tests.makers.rosters import PILOT, RosterOffice
from tests.phones import Desk


class AidOffice:
    """The officers of a town and its county, and a village of homes with cases in force."""

    def __init__(self, pay: RosterOffice) -> None:
        self.pay = pay
        self.town, self.county, self.homes = pay.town, pay.county, pay.homes

    @classmethod
    def of(cls, town: Desk, county: Desk) -> "AidOffice":
        """The officers alone, without homes."""
        office = cls.__new__(cls)
        office.town, office.county, office.homes = town, county, []
        return office

    async def make(self, kind: str, **more: Any) -> dict[str, Any]:
        answer = await self.ask_to_make(kind, **more)
        assert answer.status_code == 201, answer.text
        batch: dict[str, Any] = answer.json()
        return batch

    async def ask_to_make(self, kind: str, **more: Any):
        body = {"id": str(new_id()), "kind": kind, "areaCode": PILOT, "month": days.month().isoformat()}
        return await self.town.http.post("/desk/v1/aid-batches", json=body | more)

    async def act(self, desk, batch: dict[str, Any], act: str, **more: Any):
        return await desk.http.post(f"/desk/v1/aid-batches/{batch['id']}/acts", json={"act": act, **more})

    async def show(self, batch: dict[str, Any]) -> dict[str, Any]:
        answer = await self.county.http.get(f"/desk/v1/aid-batches/{batch['id']}")
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    async def lines(self, batch: dict[str, Any] | None = None, **filters: Any) -> list[dict[str, Any]]:
        params = {"limit": 200, **filters} | ({"batch": batch["id"]} if batch else {})
        answer = await self.county.http.get("/desk/v1/aid-lines", params=params)
        assert answer.status_code == 200, answer.text
        lines: list[dict[str, Any]] = answer.json()["items"]
        return lines

    async def findings(self, batch: dict[str, Any], *, judged: bool = False) -> list[dict[str, Any]]:
        answer = await self.county.http.get(
            f"/desk/v1/aid-batches/{batch['id']}/findings", params={"judged": judged, "limit": 200}
        )
        assert answer.status_code == 200, answer.text
        findings: list[dict[str, Any]] = answer.json()["items"]
        return findings

    async def judge(self, batch: dict[str, Any], verdict: str = "dismissed", *, code: str | None = None):
        ids = [finding["id"] for finding in await self.findings(batch) if code in (None, finding["code"])]
        body = {"findingIds": ids, "verdict": verdict, "reason": "已核实（测试）"}
        return await self.town.http.post(f"/desk/v1/aid-batches/{batch['id']}/judgements", json=body)

    async def released(self, kind: str, **more: Any) -> dict[str, Any]:
        """A batch that two people let go; what has to be judged is judged."""
        batch = await self.make(kind, **more)
        if batch["openFindings"]:
            assert (await self.judge(batch)).status_code == 200
        for desk, act in ((self.town, "prepare"), (self.county, "release")):
            answer = await self.act(desk, batch, act)
            assert answer.status_code == 200, answer.text
        released: dict[str, Any] = answer.json()
        return released

    async def hand_out(self, batch: dict[str, Any], *records: dict[str, Any]):
        return await self.town.http.post(
            f"/desk/v1/aid-batches/{batch['id']}/handouts", json={"handouts": list(records)}
        )

    async def handed_out(self, kind: str, **more: Any) -> dict[str, Any]:
        """A batch of which every head has received the own part today."""
        batch = await self.released(kind, **more)
        records = [to_head(line) for line in await self.lines(batch)]
        for start in range(0, len(records), 500):
            answer = await self.hand_out(batch, *records[start : start + 500])
            assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    async def report(self, **filters: Any) -> list[dict[str, Any]]:
        answer = await self.county.http.get("/desk/v1/aid-report", params=filters)
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()
        return rows


def to_head(line: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"lineId": line["id"], "state": "handed_out", "givenOn": days.in_days(0).isoformat(), **more}


def to_proxy(line: dict[str, Any], name: str, **more: Any) -> dict[str, Any]:
    return to_head(line, recipient="proxy", recipientName=name, relation="邻居", **more)


async def stand_in(services: Any, deputy: Desk, absent: Desk, role: str, area_code: str) -> None:
    """The deputy has the role of somebody who is on leave."""
    async with open_session(services.sessions) as session:
        session.add(StaffRole(staff_id=deputy.id, role=role, area_code=area_code, deputy_for=absent.id))
