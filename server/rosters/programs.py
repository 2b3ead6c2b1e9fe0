"""The programs that rosters pay, as an area's setting has them: a name, a fund, whom it pays and how much."""

from datetime import date

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.errors import Fault, Problem
from server.policy.resolver import load_policy_values
from server.policy.values import PaymentProgram

PROGRAMS = "roster.programs"


async def list_programs(session: AsyncSession, area_code: str, month: date) -> list[PaymentProgram]:
    """Return the programs of an area in a month."""
    settings = await load_policy_values(session, area_code, month, [PROGRAMS])
    return msgspec.convert(settings.get(PROGRAMS, []), list[PaymentProgram])


async def find_program(session: AsyncSession, area_code: str, code: str, month: date) -> PaymentProgram:
    """Return a program that a roster of the month may pay. Raise `request.invalid`.

    What is paid a head or a home has rosters in other months too: of homes that were left out of its own.
    """
    programs = await list_programs(session, area_code, month)
    program = next((program for program in programs if program.code == code), None)
    if program is None or (program.pays == "amount" and not is_paid_in(program, month)):
        raise Problem("request.invalid", faults=[Fault("/program", "field.invalid", code)])
    return program


def is_paid_in(program: PaymentProgram, month: date) -> bool:
    return not program.months or month.month in program.months
