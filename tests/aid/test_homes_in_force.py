"""Whether a home is in force in a month, of a case that was stopped and is paid again."""

from datetime import date

from sqlalchemy import Date, bindparam, select, update

from server.aid.homes import is_in_force
from server.core.database import open_session
from server.models.cases import CaseFile
from tests import days


async def test_the_months_before_a_stop_stay_in_force_after_a_return(aid, services):
    home = aid.homes[0]
    await aid.pay.decide(home, "stopped", days.month(), 0, ground="moved")
    await aid.pay.decide(home, "granted", days.month(1), 300_00)
    async with open_session(services.sessions) as session:
        values = {"state": "published", "paid_from": days.month(1), "stopped_from": None}
        await session.execute(update(CaseFile).where(CaseFile.id == home.case_id).values(**values))

        async def in_force(month: date) -> bool:
            of_month = bindparam("month", month, Date)
            return bool(await session.scalar(select(is_in_force(home.household_id, of_month))))

        assert [await in_force(days.month(offset)) for offset in (-1, 0, 1)] == [True, False, True]
