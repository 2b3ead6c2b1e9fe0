"""The grounds on which a payment is stopped: codes of an area, by date, each with its name in both languages.

A kind of a ground is a code below it: `wrongly_granted.favour` is one of `wrongly_granted`.
"""

from datetime import date

from sqlalchemy.ext.asyncio import AsyncSession

from server.core.clock import today
from server.core.http import ResponseBody
from server.policy.resolver import load_policy_values

_KEY = "case.stop_grounds"


class StopGroundLine(ResponseBody):
    code: str
    zh: str
    en: str


async def list_stop_grounds(session: AsyncSession, area_code: str, on: date) -> list[StopGroundLine]:
    settings = await load_policy_values(session, area_code, on, [_KEY])
    return [StopGroundLine(code=row["code"], zh=row["zh"], en=row["en"]) for row in settings.get(_KEY, [])]


async def find_stop_ground(session: AsyncSession, area_code: str, code: str) -> StopGroundLine | None:
    grounds = await list_stop_grounds(session, area_code, today())
    return next((ground for ground in grounds if ground.code == code), None)
