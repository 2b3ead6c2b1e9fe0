"""An office at work: its officers signed in, rules written, and a case led to where a test needs it."""

import asyncio
from datetime import date
from pkgutil import resolve_name
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import delete, select, update

from server.cases.deadlines import backfill_deadlines
from server.cases.transitions import apply_transition
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.identity.devices import DeviceInfo, open_device
from server.models.areas import PolicySetting
from server.models.cases import CaseDeadline, CaseFile
from server.models.people import Resident, Staff, StaffRole
from tests import days
from tests.makers.identities import find_resident
from tests.phones import Desk

Json = dict[str, Any]
VILLAGE = "339901001001"
TOWN = "339901001"


class Office:
    """Officers of the town and county of the first application, signed in when first asked for."""

    def __init__(self, system, services, county) -> None:
        self.system, self.services, self.county = system, services, county
        self.application = county.applications[0]
        self._signed_in: dict[str, Desk] = {}

    async def person(self, role: str) -> Desk:
        """The one of a role whose area the first application lies in; a panelist is made."""
        if role not in self._signed_in:
            login = await self._login(role)
            self._signed_in[role] = await self.sign_in(login)
        return self._signed_in[role]

    async def _login(self, role: str) -> str:
        if role == "panelist":
            async with open_session(self.services.sessions) as session:
                staff = Staff(id=new_id(), login="panelist", name="甘禾笠", password_hash=None)
                session.add(staff)
                await session.flush()
                session.add(StaffRole(staff_id=staff.id, role="panelist", area_code=VILLAGE))
            return "panelist"
        return next(
            staff_member.login
            for staff_member in self.county.staff
            if staff_member.role == role and VILLAGE.startswith(staff_member.area_code)
        )

    async def sign_in(self, login: str, *, resident: bool = False) -> Desk:
        """Signed in without the password's deliberate slowness."""
        async with open_session(self.services.sessions) as session:
            who: Staff | Resident
            if resident:
                found = await find_resident(session, login)
                assert found is not None
                who = found
            else:
                who = (await session.scalars(select(Staff).where(Staff.login == login))).one()
            result = await open_device(session, self.services, who, DeviceInfo(label="test"), utc_now())
            body = msgspec.to_builtins(result)
        return Desk(self.system, body)

    async def resident(self, place: int = 0) -> Desk:
        item = self.county.residents[place]
        code = {"code": f"demo-{item.wechat_suffix}-t", "device": {"label": "t"}}
        answer = await self.system.client().post("/auth/v1/resident/sign-in-wechat", json=code)
        desk = Desk(self.system, answer.json())
        bound = await desk.http.post(
            "/auth/v1/resident/bind",
            json={"idNumber": item.id_number, "applicationNumber": item.application_number},
        )
        assert bound.status_code == 200, bound.text
        return desk

    async def case(self, **changes: Any) -> UUID:
        """The first application of the demo county, as accepted; with deadlines by the rules as they are by now."""
        async with open_session(self.services.sessions) as session:
            query = select(CaseFile).where(CaseFile.number == self.application.number)
            case = (await session.scalars(query)).one()
            await session.execute(delete(CaseDeadline).where(CaseDeadline.case_id == case.id))
            await backfill_deadlines(session)
            if changes:
                await session.execute(update(CaseFile).where(CaseFile.id == case.id).values(**changes))
            return case.id

    async def second_town_officer(self) -> Desk:
        """Another officer of the same town, for what two people do."""
        async with open_session(self.services.sessions) as session:
            staff = Staff(id=new_id(), login="second-officer", name="纪谷雨", password_hash=None)
            session.add(staff)
            await session.flush()
            session.add(StaffRole(staff_id=staff.id, role="town_officer", area_code=VILLAGE[:9]))
        return await self.sign_in("second-officer")

    async def rule(self, key: str, value: Any, *, area: str = "339901", since: date = date(2020, 1, 2)) -> None:
        async with open_session(self.services.sessions) as session:
            session.add(
                PolicySetting(key=key, area_code=area, effective_from=since, value=value, source="县政府文件（测试）")
            )

    async def system_step(self, case_id: UUID, step: str) -> None:
        """What a job does when the thing that a case waits for has happened."""
        async with open_session(self.services.sessions) as session:
            case = await session.get_one(CaseFile, case_id, with_for_update=True)
            assert await apply_transition(session, case, step, cause=f"test:{new_id()}", actor_id=None, at=utc_now())


async def look(desk: Desk, case_id: UUID | str) -> Json:
    answer = await desk.http.get(f"/desk/v1/cases/{case_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def step(
    desk: Desk, case_id: UUID, name: str, *, version: int | None = None, key: str | None = None, **more: Any
):
    """Ask for a step from the version that stands now, or from the one given."""
    if version is None:
        version = (await look(desk, case_id))["version"]
    headers = {"If-Match": f'"{version}"'} | ({"Idempotency-Key": key} if key else {})
    return await desk.http.post(f"/desk/v1/cases/{case_id}/steps", json={"step": name, **more}, headers=headers)


async def done(desk: Desk, case_id: UUID, name: str, **more: Any) -> Json:
    answer = await step(desk, case_id, name, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def settled(office: Office, case_id: UUID, name: str, **more: Any) -> Json:
    """What moves money takes two: the town proposes, the county decides."""
    proposes = {"amount_changed": "change_proposed", "stopped": "stop_proposed", "came_back": "return_proposed"}[name]
    await done(await office.person("town_officer"), case_id, proposes, **more)
    return await done(await office.person("county_officer"), case_id, name, reason=more["reason"])


async def refused(desk: Desk, case_id: UUID, name: str, **more: Any) -> str:
    answer = await step(desk, case_id, name, **more)
    assert answer.status_code >= 400, answer.text
    return answer.json()["code"]


async def calculated(desk: Desk, case_id: UUID, month: str | None = None) -> Json:
    """For a month, which is the next one where none is given. The proposed programme is confirmed before the first."""
    case = await look(desk, case_id)
    if case["programme"] is None:
        await done(desk, case_id, "programme_confirmed", programme=case["proposedProgramme"])
    month = month or days.month(1).isoformat()
    answer = await desk.http.post(f"/desk/v1/cases/{case_id}/calculations", json={"month": month})
    assert answer.status_code == 201, answer.text
    return answer.json()


def with_both_waiting(monkeypatch, name):
    """Holds what a request writes open for a moment after it has looked, so that another looks meanwhile."""
    looked = resolve_name(name)

    async def look_and_stay(*request):
        seen = await looked(*request)
        await asyncio.sleep(0.3)
        return seen

    monkeypatch.setattr(name, look_and_stay)
