"""云栖县, an invented county for demos and tests: towns, villages, staff and 300 households.

People, homes and money follow from the seed alone, so that a printed sign-in stays valid; only due dates follow
`today`. The division codes have the real format under the real province 33, but 3399 and 339901 are assigned to no
city and no county: no real office is portrayed, and no identity number made here can belong to anyone. Phones, cards
and names are invented too.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from server.core.working_days import add_working_days, working_day
from server.demo.areas import CODE, NAME, build_areas
from server.demo.households import EPOCH, STANDARD_FEN, build_households
from server.demo.inventor import Inventor
from server.demo.records import Application, Assignment, County, Household, Resident, SignIn, Staff, StaffRole
from server.demo.staff import DEMO_PASSWORDS, ROLE_LABELS, build_staff

SEED = 20261123
_SURVEY_WORKING_DAYS = 3
_REVIEWS_DUE_IN_DAYS = (-6, -2, 0, 0, 1, 3, 4, 7, 9, 12, 15, 20)
_DESK_ROLES: tuple[StaffRole, ...] = ("town_officer", "county_officer", "supervisor", "admin")


def build_county(seed: int = SEED, *, today: date) -> County:
    """Build the complete county: people, homes and money from `seed`, dates of applications and visits from `today`."""
    areas = tuple(build_areas())
    villages = [area for area in areas if area.level == "village"]
    staff = tuple(build_staff(villages))
    households = tuple(build_households(Inventor(seed), villages, staff))
    applicants = [household for household in households if household.class_ is None]
    applications = tuple(_applications(applicants, today))
    return County(
        code=CODE,
        name=NAME,
        seed=seed,
        today=today,
        standard_fen=STANDARD_FEN,
        areas=areas,
        staff=staff,
        households=households,
        applications=applications,
        assignments=tuple(_assignments(staff, households, applications, today)),
        residents=tuple(_residents(applicants, applications)),
    )


def list_sign_ins(county: County | None = None) -> list[SignIn]:
    """Return sign-ins for a pair of caseworkers, each desk role and a resident who binds.

    They don't depend on the day, so they hold for a county that was loaded earlier.
    """
    county = county or build_county(today=EPOCH)
    people = [county.staff[0], county.staff[1]]
    people += [next(person for person in county.staff if person.role == role) for role in _DESK_ROLES]
    names = {area.code: area.name for area in county.areas}
    return [_staff_sign_in(person, names[person.area_code]) for person in people] + [
        _resident_sign_in(county.residents[0])
    ]


def _applications(applicants: Sequence[Household], today: date) -> Iterator[Application]:
    """Yield applications accepted over the last working days: surveys are overdue, due today and due soon."""
    for position, (household, days_ago) in enumerate(zip(applicants, (5, 3, 3, 2, 2, 1, 1, 0), strict=True)):
        accepted_on = _working_days_ago(today, days_ago)
        applied_on = _working_days_ago(accepted_on, position % 3)
        due = add_working_days(accepted_on, _SURVEY_WORKING_DAYS)
        yield Application(
            number=f"YQ{EPOCH.year}-{123 + 7 * position:06d}",
            household_number=household.number,
            applicant_name=household.head_name,
            applied_on=applied_on,
            accepted_on=accepted_on,
            survey_due_on=due.on,
            survey_due_certain=due.certain,
        )


def _working_days_ago(today: date, count: int) -> date:
    """Return the date `count` working days before today, or before the last working day when today is a holiday."""
    day = today
    while not working_day(day).working or count > 0:
        count -= working_day(day).working
        day -= timedelta(days=1)
    return day


def _assignments(
    staff: Sequence[Staff],
    households: Sequence[Household],
    applications: Sequence[Application],
    today: date,
) -> Iterator[Assignment]:
    """Yield twelve visits per caseworker: the village's intakes first, then reviews due around today."""
    by_household = {application.household_number: application for application in applications}
    for person in staff:
        if person.role != "caseworker" or person.partner_login is None:
            continue
        village = [household for household in households if household.area_code == person.area_code]
        for household, days in zip(village, _REVIEWS_DUE_IN_DAYS, strict=False):
            application = by_household.get(household.number)
            yield Assignment(
                household_number=household.number,
                kind="intake" if application else "review",
                caseworker_login=person.login,
                partner_login=person.partner_login,
                due_on=application.survey_due_on if application else today + timedelta(days=days),
                application_number=application.number if application else None,
            )


def _residents(applicants: Sequence[Household], applications: Sequence[Application]) -> Iterator[Resident]:
    for number, (household, application) in enumerate(zip(applicants, applications, strict=True), start=1):
        head = household.members[0]
        yield Resident(head.name, f"resident{number}", household.number, application.number, head.id_number)


def _staff_sign_in(person: Staff, area_name: str) -> SignIn:
    zh, en = ROLE_LABELS[person.role]
    partner = f" · 同行 with {person.partner_login}" if person.partner_login else ""
    note = f"{person.name} · {area_name}{partner} · 微信 demo-{person.wechat_suffix}-<nonce>"
    return SignIn(zh, en, person.login, DEMO_PASSWORDS[person.role], note)


def _resident_sign_in(resident: Resident) -> SignIn:
    """Return the two numbers that bind an account in place of login and password."""
    note = (
        f"{resident.name} · 申请编号和身份证号绑定 binds with application number and ID number · "
        f"查询码 PIN {resident.look_up_pin} · "
        f"微信 demo-{resident.wechat_suffix}-<nonce>"
    )
    return SignIn("申请人", "resident", resident.application_number, resident.id_number, note)
