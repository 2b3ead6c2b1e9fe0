"""A grant rests on a visit that is accepted now, whatever step the case has come to since."""

from sqlalchemy import select, update

from server.core.database import open_session
from server.models.cases import CaseEvent, CaseFile
from server.models.visits import Visit
from tests.cases.test_whole_case import accepted, decide_visit, granted_opinion, visit
from tests.makers.cases import calculated, done, look, refused
from tests.postings.test_postings import end


async def reopen(office, services):
    """A supervisor puts the newest visit back into the queue."""
    async with services.sessions() as session:
        visit_id = (await session.scalars(select(Visit.id).order_by(Visit.id.desc()).limit(1))).one()
    supervisor = await office.person("supervisor")
    answer = await supervisor.http.post(f"/desk/v1/visits/{visit_id}/reopen", json={"reason": "照片存疑"})
    assert answer.status_code in {200, 201, 204}, answer.text
    await office.system.run_jobs()


async def test_no_opinion_rests_on_a_visit_that_was_reopened_until_it_is_accepted_again(office, services):
    made, _, _ = await accepted(office)
    town = await office.person("town_officer")
    await visit(office, made["id"])
    await calculated(town, made["id"])
    await reopen(office, services)
    assert (await look(town, made["id"]))["state"] == "preliminary"
    assert await refused(town, made["id"], "opinion_grant") == "case.survey_not_accepted"
    await decide_visit(office)
    await office.system.run_jobs()
    await done(town, made["id"], "opinion_grant")


async def test_nothing_is_granted_while_the_visit_of_the_survey_or_of_the_county_is_reopened(office, services):
    made, _, _ = await accepted(office)
    county = await office.person("county_officer")
    await visit(office, made["id"])
    await end(office, (await granted_opinion(office, made["id"]))["id"])
    assert (await look(county, made["id"]))["state"] == "county"
    await reopen(office, services)
    assert await refused(county, made["id"], "confirmed") == "case.survey_not_accepted"
    async with open_session(services.sessions) as session:  # now it stands for the county's visit alone
        survey = CaseEvent.case_id == made["id"], CaseEvent.step == "survey_done"
        await session.execute(update(CaseEvent).where(*survey).values(cause="import:survey"))
        await session.execute(update(CaseFile).where(CaseFile.id == made["id"]).values(needs_county_visit=True))
    assert await refused(county, made["id"], "confirmed") == "case.county_visit_missing"
    await decide_visit(office)
    await done(county, made["id"], "confirmed")
