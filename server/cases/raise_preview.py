"""The preview of a raise: each home that is paid, before and after, written down in steps by a job.

What a second person confirms are these lines. Nothing is paid by them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import insert, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.benefits.calculations import STANDARD, load_formulas
from server.benefits.found_differences import TOLERANCE
from server.benefits.sheet import BenefitFormula
from server.cases.raise_doubts import Judged, Rules, judge_case, load_raise_facts
from server.core import jobs
from server.core.database import open_session
from server.core.job_types import PreviewRaise
from server.core.services import Services
from server.models.areas import PolicySetting
from server.models.cases import GRANTED_STATES, CaseFile
from server.models.raises import StandardRaise, StandardRaiseLine
from server.policy.resolver import load_policy_values

# Homes of one transaction.
STEP = 500
# A home that a person must look at comes first, then those that are paid more, then those that stay as they are.
ODD, MORE, SAME = 0, 1, 2


class Ground(NamedTuple):
    """What is read once for all steps: places with a standard of their own, and the rules of villages so far."""

    elsewhere: tuple[str, ...]
    rules: dict[str, Rules]


@jobs.task(PreviewRaise)
async def preview_raise(services: Services, job: PreviewRaise) -> None:
    """Write the lines of a raise, from where it stopped. Idempotent."""
    ground: Ground | None = None
    goes_on = True
    while goes_on:
        async with open_session(services.sessions) as session:
            proposed = await session.get_one(StandardRaise, job.raise_id, with_for_update=True)
            if proposed.state != "previewing":
                return
            ground = ground or Ground(await find_own_standards(session, proposed), {})
            goes_on = await _preview_step(session, proposed, ground)


async def find_own_standards(session: AsyncSession, proposed: StandardRaise) -> tuple[str, ...]:
    """Return the places below whose own standard holds in the month, so that the raise does not reach them."""
    rows = await session.scalars(
        select(PolicySetting.area_code).distinct().where(
            PolicySetting.key == STANDARD,
            PolicySetting.area_code.startswith(proposed.area_code, autoescape=True),
            PolicySetting.area_code != proposed.area_code,
            PolicySetting.effective_from <= proposed.month,
        )
    )  # fmt: skip
    return tuple(rows)


async def _preview_step(session: AsyncSession, proposed: StandardRaise, ground: Ground) -> bool:
    cases = list(await session.scalars(_select_next(proposed)))
    here = [case for case in cases if not case.area_code.startswith(ground.elsewhere)]
    proposed.elsewhere += len(cases) - len(here)
    if here:
        facts = await load_raise_facts(session, here, proposed.month)
        rules = [await load_rules(session, case, proposed, ground.rules) for case in here]
        judged = [judge_case(case, facts, rule, proposed.month) for case, rule in zip(here, rules, strict=True)]
        heads = [len(facts.homes[case.household_id].members) for case in here]
        await session.execute(insert(StandardRaiseLine), _lines(proposed, here, judged, heads))
    if len(cases) < STEP:
        proposed.state = "ready"
        return False
    proposed.reached_case_id = cases[-1].id
    return True


def _select_next(proposed: StandardRaise) -> Any:
    rows = select_paid(proposed).order_by(CaseFile.id).limit(STEP)
    return rows if proposed.reached_case_id is None else rows.where(CaseFile.id > proposed.reached_case_id)


def select_paid(proposed: StandardRaise) -> Any:
    """Select the cases paid in the month, of the programmes that are raised."""
    programmes = [name for name, fen in standards_of(proposed).items() if fen is not None]
    return select(CaseFile).where(
        CaseFile.area_code.startswith(proposed.area_code, autoescape=True),
        CaseFile.amount_fen.is_not(None),
        # A stop that is decided for a later month: the months until then are paid by the new standard.
        or_(
            CaseFile.state.in_(GRANTED_STATES) & CaseFile.stopped_from.is_(None),
            CaseFile.stopped_from > proposed.month,
        ),
        or_(CaseFile.programme.in_(programmes), CaseFile.programme.is_(None)),
    )


def standards_of(proposed: StandardRaise) -> Mapping[str, int | None]:
    return {"urban": proposed.urban_fen, "rural": proposed.rural_fen}


async def load_rules(session: AsyncSession, case: CaseFile, proposed: StandardRaise, rules: dict[str, Rules]) -> Rules:
    """Return the rules of the case's village, before the raise and with it; `rules` are those so far, and grows."""
    standing = await load_standing_rules(session, case, proposed, rules)
    if standing.before is standing.after and STANDARD in standing.before:
        value = raised_value(standing.before[STANDARD].value, standards_of(proposed))
        after = dict(standing.before) | {STANDARD: BenefitFormula(value, proposed.document)}
        rules[case.area_code] = standing._replace(after=after)
    return rules[case.area_code]


async def load_standing_rules(
    session: AsyncSession, case: CaseFile, of_raise: StandardRaise, rules: dict[str, Rules]
) -> Rules:
    """Return the rules of the case's village as they stand for the month."""
    if case.area_code not in rules:
        formulas = await load_formulas(session, case.area_code, of_raise.month)
        settings = await load_policy_values(session, case.area_code, of_raise.month, [TOLERANCE])
        rules[case.area_code] = Rules(formulas, formulas, int(settings.get(TOLERANCE, 0)))
    return rules[case.area_code]


def raised_value(value: Any, raised: Mapping[str, int | None]) -> Any:
    """Return the setting's value with the new standards in it: one number where both are the same."""
    before = value if isinstance(value, dict) else {"urban": value, "rural": value}
    after = {name: before[name] if fen is None else fen for name, fen in raised.items()}
    return after["urban"] if after["urban"] == after["rural"] and not isinstance(value, dict) else after


def _lines(
    proposed: StandardRaise, cases: Sequence[CaseFile], judged: Sequence[Judged], heads: Sequence[int]
) -> list[dict[str, Any]]:
    return [
        {
            "raise_id": proposed.id,
            "case_id": case.id,
            "household_id": case.household_id,
            "area_code": case.area_code,
            "programme": case.programme,
            "people": len(calculated.covered) if calculated and calculated.covered else members,
            "before_fen": case.amount_fen,
            "after_fen": calculated.amount_fen if calculated else None,
            "doubt": doubt,
            "rank": ODD if doubt else MORE if calculated and calculated.amount_fen != case.amount_fen else SAME,
        }
        for case, (doubt, calculated), members in zip(cases, judged, heads, strict=True)
    ]
