"""Certificates: issued on a grant, ended on a stop, renewed by the year, replaced with a reason."""

from datetime import timedelta

from sqlalchemy import update

from server.cases.certificates import months_later, renew_certificates
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.working_days import day_of
from server.models.certificates import Certificate
from tests import days
from tests.benefits.test_changes import in_force
from tests.makers.cases import settled
from tests.pdf import words

ADDRESS = "/desk/v1/certificates"


async def listed(desk, **query):
    answer = await desk.http.get(ADDRESS, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def replace(desk, case_id, reason="户主变更"):
    return await desk.http.post(f"/desk/v1/cases/{case_id}/certificate", json={"reason": reason})


async def test_a_grant_issues_a_certificate_that_prints_and_a_stop_ends_it(office):
    case_id, county = await in_force(office)
    (certificate,) = await listed(county)
    town, year = certificate["areaCode"][:9], day_of(utc_now()).year
    letter = {"urban": "C", "rural": "N"}[certificate["programme"]]
    assert certificate["number"] == f"{letter}{town}{year}00001"
    assert (certificate["state"], certificate["caseId"], certificate["holderName"]) == (
        "valid", str(case_id), certificate["headName"],
    )  # fmt: skip
    sheet = await county.http.get(f"/desk/v1/cases/{case_id}/certificate/sheet")
    assert sheet.status_code == 200, sheet.text
    printed = words(sheet.content)
    assert certificate["number"] in printed
    assert certificate["holderName"] in printed
    await settled(office, case_id, "stopped", reason="就业增收", ground="employment")
    (ended,) = await listed(county, state="ended")
    assert (ended["endedBy"], ended["endedOn"]) == ("stopped", days.month(1).isoformat())
    assert (await county.http.get(f"/desk/v1/cases/{case_id}/certificate/sheet")).json()["code"] == "case.not_now"
    assert (await replace(county, case_id)).json()["code"] == "case.not_now"
    export = await county.http.get(f"{ADDRESS}/export", params={"format": "csv"})
    assert certificate["number"] in export.content.decode("utf-8-sig")


async def test_a_replaced_certificate_has_a_new_number_and_the_case_has_one_that_is_valid(office):
    case_id, county = await in_force(office)
    (before,) = await listed(county)
    replaced = await replace(county, case_id)
    assert replaced.status_code == 201, replaced.text
    assert replaced.json()["number"] == before["number"][:-5] + "00002"
    ends = {line["number"]: line["endedBy"] for line in await listed(county, case=str(case_id))}
    assert ends == {before["number"]: "replaced", replaced.json()["number"]: None}
    supervisor = await office.person("supervisor")
    assert (await replace(supervisor, case_id)).json()["code"] == "auth.forbidden"


async def test_an_expired_certificate_is_renewed_while_the_case_is_in_force_and_the_area_says_so(office, services):
    case_id, county = await in_force(office)
    async with open_session(services.sessions) as session:
        expired = day_of(utc_now()) - timedelta(days=1)
        await session.execute(update(Certificate).values(valid_from=days.month(-14), valid_until=expired))
    assert [line["state"] for line in await listed(county, case=str(case_id))] == ["expired"]
    await office.rule("certificate.renewed", value=False)
    async with open_session(services.sessions) as session:
        assert await renew_certificates(session, utc_now()) == 0
    await office.rule("certificate.renewed", value=True, since=day_of(utc_now()))
    async with open_session(services.sessions) as session:
        assert await renew_certificates(session, utc_now()) == 1
        assert await renew_certificates(session, utc_now()) == 0
    (line,) = await listed(county, case=str(case_id))
    assert (line["state"], line["renewedOn"]) == ("valid", day_of(utc_now()).isoformat())


def test_months_of_a_certificate_run_over_the_end_of_a_year():
    assert months_later(days.month(0), 12) == days.month(12)
