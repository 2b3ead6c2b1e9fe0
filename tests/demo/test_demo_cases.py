"""The demo county has a case in every state, so that every page has something to show."""

from collections import Counter

from sqlalchemy import select

from server.core.database import open_session
from server.demo.cases import TARGET_STATES, VILLAGE, load_cases
from server.models.cases import CASE_STATES, CaseFile
from tests.phones import Desk


async def test_the_demo_has_a_case_in_every_state_and_its_people_read_it(office, services, county):
    async with open_session(services.sessions) as session:
        assert await load_cases(session, services, county) == len(TARGET_STATES)
    await office.system.run_jobs()
    async with services.sessions() as session:
        states = Counter(await session.scalars(select(CaseFile.state).where(CaseFile.area_code == VILLAGE)))
    assert states == Counter(TARGET_STATES) + Counter({"accepted": 1})
    assert set(CASE_STATES) - set(states) == set()

    desk = await office.person("county_officer")
    postings = (await desk.http.get("/desk/v1/postings")).json()["items"]
    assert [
        (posting["state"], posting["places"], posting["households"], posting["objectionsWaiting"])
        for posting in postings
    ] == [("open", 3, 3, 1)]
    public = await office.system.client().get(f"/public/v1/postings/{postings[0]['page'].removeprefix('/p/')}")
    assert len(public.json()["households"]) == 3
    waiting = (await desk.http.get("/desk/v1/changes")).json()["items"]
    assert [item["change"]["kind"] for item in waiting] == ["new_job"]
    complaints = (await desk.http.get("/desk/v1/complaints")).json()["items"]
    assert sorted(complaint["state"] for complaint in complaints) == ["received", "registered"]
    assert (await desk.http.get("/desk/v1/benefit-changes", params={"kind": "stopped"})).json()["items"]
    assert (await desk.http.get("/desk/v1/disclosures")).json()["items"][0]["households"] > 0

    for place, end in enumerate(TARGET_STATES):
        code = {"code": f"demo-resident{9 + place}-t", "device": {"label": "t"}}
        signed_in = await office.system.client().post("/auth/v1/resident/sign-in-wechat", json=code)
        resident = Desk(office.system, signed_in.json())
        (own,) = (await resident.http.get("/resident/v1/cases")).json()
        whole = (await resident.http.get(f"/resident/v1/cases/{own['id']}")).json()
        assert own["state"] == end
        assert [stage["state"] for stage in whole["stages"]].count("now") == 1
        assert whole["missingPapers"] > 0 or end not in {"applied", "materials"}
        assert bool(whole["postings"]) == (end in {"posting", "objection"})
