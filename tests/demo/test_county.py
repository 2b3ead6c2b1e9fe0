import csv
from collections import Counter
from datetime import date
from itertools import combinations
from pathlib import Path

import pytest

from server.core.id_numbers import check_id, luhn_ok
from server.core.location import Point, country_hint, distance_m
from server.demo.areas import CODE
from server.demo.county import build_county, list_sign_ins
from server.demo.records import LABELS_ZH
from server.demo.staff import DEMO_PASSWORDS

TODAY = date(2026, 11, 23)
DIVISIONS = Path(__file__).parents[3] / "shared" / "data" / "divisions"
COUNTY = build_county(today=TODAY)
VILLAGES = [area for area in COUNTY.areas if area.level == "village"]
CASEWORKERS = [person for person in COUNTY.staff if person.role == "caseworker"]
MEMBERS = [member for home in COUNTY.households for member in home.members]


def homes_in(village):
    return [home for home in COUNTY.households if home.area_code == village.code]


def middle_of(village):
    assert village.latitude is not None
    assert village.longitude is not None
    return Point(village.latitude, village.longitude)


def test_one_seed_is_one_county_and_another_seed_another():
    assert build_county(today=TODAY) == COUNTY
    assert build_county(7, today=TODAY).households != COUNTY.households


def test_people_homes_and_staff_do_not_change_with_the_day_it_is_built():
    later = build_county(today=date(2028, 2, 1))
    assert later.households == COUNTY.households
    assert later.staff == COUNTY.staff
    assert later.residents == COUNTY.residents
    assert list_sign_ins() == list_sign_ins(later) == list_sign_ins(COUNTY)


def test_areas_form_one_tree_of_real_format_with_parents_first():
    seen = set()
    for area in COUNTY.areas:
        assert area.parent_code is None or (area.parent_code in seen and area.code.startswith(area.parent_code))
        seen.add(area.code)
    assert Counter(area.level for area in COUNTY.areas)["town"] == 3
    assert len(VILLAGES) == 12
    for area in VILLAGES:
        assert (int(area.code[9:]) < 200) == area.name.endswith("社区")


@pytest.mark.skipif(not DIVISIONS.exists(), reason="no ../shared beside the project")
def test_no_real_office_bears_the_codes_or_names_of_the_county():
    real_codes, real_names = set(), set()
    for name in ("cities", "areas", "streets"):
        with (DIVISIONS / f"{name}.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                real_codes.add(row["code"])
                real_names.add(row["name"])
    invented = COUNTY.areas[1:]
    assert real_codes.isdisjoint(area.code for area in invented)
    assert real_names.isdisjoint(area.name for area in invented)


def test_there_are_300_households_of_one_to_five_with_the_classes_of_a_real_office():
    assert len(COUNTY.households) == 300
    assert {len(home.members) for home in COUNTY.households} == {1, 2, 3, 4, 5}
    assert Counter(home.class_ for home in COUNTY.households) == {"A": 13, "B": 50, "C": 229, None: 8}
    assert {len(homes_in(village)) for village in VILLAGES} == {25}


def test_every_id_number_is_valid_unique_and_agrees_with_its_person():
    assert len({member.id_number for member in MEMBERS}) == len(MEMBERS)
    for member in MEMBERS:
        checked = check_id(member.id_number, today=TODAY)
        assert (checked.problem, checked.area_code) == (None, CODE)
        assert (checked.born, checked.sex) == (member.born_on, member.sex)


def test_names_phones_cards_and_numbers_do_not_repeat():
    people = [member.name for member in MEMBERS] + [person.name for person in COUNTY.staff]
    phones = [home.phone for home in COUNTY.households] + [person.phone for person in COUNTY.staff]
    for values in (
        people,
        phones,
        [home.bank_card for home in COUNTY.households],
        [home.number for home in COUNTY.households],
        [home.address for home in COUNTY.households],
        [person.login for person in COUNTY.staff],
        [*(person.wechat_suffix for person in COUNTY.staff), *(person.wechat_suffix for person in COUNTY.residents)],
    ):
        assert len(set(values)) == len(values)
    assert all(len(phone) == 11 and phone.startswith("1990000") for phone in phones)
    assert all(luhn_ok(home.bank_card) for home in COUNTY.households)


def test_homes_of_a_village_are_60_m_apart_and_villages_are_clusters():
    for village in VILLAGES:
        middle = middle_of(village)
        homes = [Point(home.latitude, home.longitude) for home in homes_in(village)]
        assert min(distance_m(a, b) for a, b in combinations(homes, 2)) > 59.5
        assert max(distance_m(home, middle) for home in homes) < 460
    assert all(country_hint(home.latitude, home.longitude) == "cn_box" for home in COUNTY.households)
    middles = [middle_of(village) for village in VILLAGES]
    assert min(distance_m(a, b) for a, b in combinations(middles, 2)) > 1_200


def test_families_hold_together():
    for home in COUNTY.households:
        head, *others = home.members
        assert (head.relation, head.name) == ("head", home.head_name)
        for member in others:
            years = (member.born_on - head.born_on).days / 365.25
            if member.relation in ("son", "daughter"):
                assert 17 < years < 46
            if member.relation in ("father", "mother"):
                assert -46 < years < -17
            if member.relation in ("grandson", "granddaughter"):
                assert years > 40


def test_children_go_to_school_and_the_old_are_not_employed():
    for member in MEMBERS:
        age = (TODAY - member.born_on).days // 365
        assert (member.school is None) != (member.work is None)
        assert (member.school is not None) == (age < 23)
        assert age < 60 or member.work in ("retired", "farming")


def test_amounts_follow_from_standard_members_and_declared_income():
    for home in COUNTY.households:
        owed_fen = COUNTY.standard_fen * len(home.members) - home.incomes.total_fen
        parts = home.incomes
        assert min(parts.wage_fen, parts.business_fen, parts.property_fen, parts.transfer_fen) >= 0
        assert owed_fen > 0
        assert home.monthly_amount_fen == (owed_fen if home.class_ else None)
        assert (home.receiving_since is None) == (home.class_ is None)
        if home.class_ == "A":
            assert parts.total_fen == 0
            assert all(member.labour_ability == "none" for member in home.members)
    for kind in ("wage_fen", "business_fen", "property_fen", "transfer_fen"):
        assert any(getattr(home.incomes, kind) for home in COUNTY.households)


def test_a_few_households_have_declared_a_relative_on_staff():
    assert sum(home.relative_on_staff is not None for home in COUNTY.households) == 4


def test_the_staff_are_those_of_the_issue_each_over_their_area():
    assert Counter(person.role for person in COUNTY.staff) == {
        "caseworker": 12,
        "town_officer": 3,
        "county_officer": 2,
        "supervisor": 1,
        "admin": 1,
    }
    assert sorted(person.area_code for person in CASEWORKERS) == sorted(area.code for area in VILLAGES)
    assert {person.area_code for person in COUNTY.staff} <= {area.code for area in COUNTY.areas}


def test_caseworkers_visit_in_pairs_within_one_town():
    by_login = {person.login: person for person in CASEWORKERS}
    for person in CASEWORKERS:
        assert person.partner_login is not None
        partner = by_login[person.partner_login]
        assert partner.partner_login == person.login != partner.login
        assert partner.area_code[:9] == person.area_code[:9]


@pytest.mark.parametrize("today", [TODAY, date(2026, 10, 4), date(2027, 1, 1), date(2028, 2, 29)])
def test_applications_have_surveys_due_and_an_intake_each(today):
    county = build_county(today=today)
    assert len(county.applications) == len(county.residents) == 8
    intakes = {item.application_number: item for item in county.assignments if item.kind == "intake"}
    for application in county.applications:
        assert application.applied_on <= application.accepted_on <= today
        assert application.number.startswith("YQ2026-000")
        assert intakes[application.number].due_on == application.survey_due_on
        assert intakes[application.number].household_number == application.household_number
    assert len(intakes) == 8


def test_an_intake_is_overdue_some_are_due_today_and_some_soon():
    due = [item.due_on for item in COUNTY.assignments if item.kind == "intake"]
    assert min(due) < TODAY < max(due)
    assert TODAY in due


def test_each_caseworker_has_twelve_visits_in_the_own_village_and_none_twice():
    homes = {home.number: home for home in COUNTY.households}
    assert len({item.household_number for item in COUNTY.assignments}) == len(COUNTY.assignments) == 144
    for person in CASEWORKERS:
        own = [item for item in COUNTY.assignments if item.caseworker_login == person.login]
        assert len(own) == 12
        assert {homes[item.household_number].area_code for item in own} == {person.area_code}
        assert {item.partner_login for item in own} == {person.partner_login}


def test_a_resident_binds_with_the_numbers_of_a_head_who_applied():
    homes = {home.number: home for home in COUNTY.households}
    applied = {item.number: item.household_number for item in COUNTY.applications}
    for resident in COUNTY.residents:
        assert applied[resident.application_number] == resident.household_number
        assert homes[resident.household_number].members[0].id_number == resident.id_number


def test_the_sign_ins_name_every_role_with_what_opens_it():
    rows = list_sign_ins(COUNTY)
    staff = {person.login: person for person in COUNTY.staff}
    for row in rows[:-1]:
        assert row.password == DEMO_PASSWORDS[staff[row.login].role]
    assert {staff[row.login].role for row in rows[:-1]} == set(DEMO_PASSWORDS)
    assert (rows[-1].role_en, rows[-1].login) == ("resident", COUNTY.residents[0].application_number)
    assert "demo-resident1-" in rows[-1].note


def test_every_code_in_the_records_has_its_word():
    codes: set[str | None] = {home.cause for home in COUNTY.households}
    for member in MEMBERS:
        codes |= {member.relation, member.health, member.labour_ability, member.school, member.work}
    assert codes - {None} <= LABELS_ZH.keys()
