"""A roster compares its head with the certificate of the case: name = certificate = holder of the account (三相符)."""

from datetime import timedelta

from sqlalchemy import select

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.models.certificates import Certificate
from server.models.households import Household
from tests import days


async def certified(pay, home, holder, **more):
    async with open_session(pay.services.sessions) as session:
        session.add(
            Certificate(
                id=new_id(), number=f"N{home.number}{len(more)}", case_id=home.case_id, area_code="339901001990", programme="rural",
                holder_name=holder, issued_at=utc_now(), valid_from=days.month(-6), valid_until=days.month(6),
                **more,
            )
        )  # fmt: skip


async def test_a_roster_compares_its_head_with_the_certificate(pay):
    await pay.settled(days.month(-1))
    await certified(pay, pay.homes[0], "孙旧户主")
    await certified(pay, pay.homes[1], pay.homes[1].head)
    roster = await pay.make(days.month())
    (finding,) = await pay.findings(roster)
    assert (finding["code"], finding["headName"]) == ("certificate_differs", pay.homes[0].head)


async def test_of_a_certificate_replaced_in_the_month_the_valid_one_counts(pay):
    await pay.settled(days.month(-1))
    for home in pay.homes:
        await certified(pay, home, home.head)
        await certified(pay, home, "孙旧户主", ended_on=days.month() + timedelta(days=2), ended_by="replaced")
    assert await pay.findings(await pay.make(days.month())) == []


async def test_an_area_may_demand_a_certificate_of_each_line(pay):
    await pay.settled(days.month(-1))
    await pay.office.rule("roster.needs_certificate", value=True)
    await certified(pay, pay.homes[0], pay.homes[0].head)
    roster = await pay.make(days.month())
    findings = await pay.findings(roster)
    assert {finding["code"] for finding in findings} == {"certificate_missing"}
    async with pay.services.sessions() as session:
        others = set(await session.scalars(select(Household.head_name).where(Household.number.like("TS-%"))))
    assert {finding["headName"] for finding in findings} == others - {pay.homes[0].head}
