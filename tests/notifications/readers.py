"""A resident who reads notices: signed in by the service account, bound to a household, with a phone that answers."""

import httpx
from sqlalchemy import func, select

from server.core import jobs
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.job_types import Notify
from server.demo.wechat_message_stub import PushedEvent, sign_event
from server.models.cases import CaseFile
from server.models.households import HouseholdMember
from server.models.notifications import MessageConsent, Notice
from server.models.people import ResidentBinding
from tests.identity.test_web_sign_in import Browser
from tests.phones import Desk

FIELDS = {"thing1": "what", "time2": "when"}
SUBSCRIBE, TEMPLATE = "s-decided", "t-decided"


class Reader:
    """A resident who signed in by the service account and is bound to the household of a case."""

    def __init__(self, system, desk, case, suffix):
        self.system, self.http, self.case, self.suffix = system, desk.http, case, suffix

    async def stub(self, path, **query):
        client = self.system.services.wechat_service
        return await client._call("GET", f"/_stub/{path}", {"suffix": self.suffix, **query})

    async def push(self, times=1):
        """Let WeChat push what has happened, as often as it likes."""
        events = (await self.stub("events"))["events"]
        for event in events:
            for _ in range(times):
                query, body = sign_event(PushedEvent(**event), "wx-demo", utc_now().timestamp())
                answer = await wechat(self.system).post(
                    f"/wechat/v1/push/{event['pushed_by']}", params=query, content=body
                )
                assert (answer.status_code, answer.text) == (200, "success")
        return len(events)

    async def agree(self, answer="accept", times=1):
        await self.stub("consent", templates=f"{SUBSCRIBE},other", answer=answer)
        return await self.push(times)

    async def follow(self, on="1"):
        await self.stub("follow", on=on)
        await self.push()

    async def sent(self):
        return (await self.stub("messages"))["messages"]

    async def tell(self, thing="event:1", kind="decided"):
        async with open_session(self.system.services.sessions) as session:
            await jobs.defer(
                session,
                Notify(
                    kind=kind,
                    thing=thing,
                    area_code=self.case.area_code,
                    household_id=self.case.household_id,
                    facts={"caseId": str(self.case.id)},
                ),
            )
        await self.system.run_jobs()

    async def message(self):
        async with self.system.services.sessions() as session:
            notice = (await session.scalars(select(Notice).order_by(Notice.id.desc()).limit(1))).one()
            return notice.message, notice.message_why

    async def left(self):
        async with self.system.services.sessions() as session:
            spare = MessageConsent.is_unspent(), MessageConsent.template_id == SUBSCRIBE
            return await session.scalar(select(func.count()).select_from(MessageConsent).where(*spare))

    async def messages(self):
        (line,) = (await self.http.get("/resident/v1/messages")).json()
        return {way["way"]: (way["left"], way["isOpen"]) for way in line["ways"]}


def wechat(system):
    """WeChat's servers, which know no openapi.json."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(system.app), base_url="http://zoufang.test")


async def make_reader(system, services, suffix="resident1"):
    answer = await Browser(system).sign_in(suffix)
    assert answer.status_code == 200, answer.text
    desk = Desk(system, answer.json()["signedIn"])
    async with open_session(services.sessions) as session:
        case = (await session.scalars(select(CaseFile).order_by(CaseFile.number).limit(1))).one()
        of_case = HouseholdMember.household_id == case.household_id
        member = await session.scalar(select(HouseholdMember).where(of_case).limit(1))
        session.add(ResidentBinding(resident_id=desk.id, household_id=case.household_id, member_id=member.id))
    return Reader(system, desk, case, suffix)
