"""What offices' files really look like: merged cells, formulas, numbers that a spreadsheet rounded, corrected files."""

import io
import zipfile

import pytest
from openpyxl import Workbook, load_workbook
from sqlalchemy import select

from server.core.database import open_session
from server.core.ids import new_id
from server.models.audit import AuditEntry
from server.models.crosschecks import CrossCheck
from server.models.households import HouseholdMember
from tests import days
from tests.crosschecks.test_crosschecks import batch, consenting, import_, request_file
from tests.makers.cases import done

MONEY = "存款余额(元)"


def sheet(rows, *, merged=(), headings=("身份证号", MONEY), above=()):
    """A workbook with these rows below the headings, which stand in row 1 when nothing is above them."""
    book = Workbook()
    for row in [*above, headings, *rows]:
        book.active.append(list(row))
    for cells in merged:
        book.active.merge_cells(cells)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


async def ask_office(office, source="finance"):
    """A batch that asks an office, and the numbers of the people in it, as its list says."""
    await consenting(office)
    town, body, answer = await batch(office, source)
    assert answer.status_code == 201, answer.text
    rows = load_workbook(io.BytesIO(await request_file(town, body["id"]))).active.iter_rows(values_only=True)
    return town, body["id"], [row[2] for row in rows][1:]


async def confirm(town, batch_id, content):
    return await town.http.post(
        f"/desk/v1/cross-checks/{batch_id}/answers?acceptUnread=true",
        data={"mapping": "{}"},
        files={"file": ("a.xlsx", content, "application/octet-stream")},
    )


async def preview(town, batch_id, content):
    return await town.http.post(
        f"/desk/v1/cross-checks/{batch_id}/answers/preview",
        data={"mapping": "{}"},
        files={"file": ("a.xlsx", content, "application/octet-stream")},
    )


async def found(town, batch_id):
    lines = (await town.http.get(f"/desk/v1/cross-checks/{batch_id}/lines")).json()
    return [item["found"] for line in lines for item in line["line"]["differences"]]


def none_for(people):
    return [[number, "无"] for number in people]


@pytest.mark.parametrize(
    ("second", "merged", "fen"),
    [(88_000, ["A2:A3"], 88_300_00), (None, ["A2:A3", "B2:B3"], 300_00), (88_000, [], 300_00)],
    ids=["the number", "number and amount", "not merged"],
)
async def test_a_number_merged_over_two_accounts_counts_both_and_a_merged_amount_once(office, second, merged, fen):
    town, batch_id, (head, *others) = await ask_office(office)
    content = sheet([[head, 300], [None, second], *none_for(others)], merged=merged)
    answer = await (confirm if not merged else import_)(town, batch_id, content)
    assert (answer.status_code, answer.json()["strangers"]) == (200, 0), answer.text
    assert await found(town, batch_id) == [fen]


UNREADABLE = {
    "a formula without a value": (lambda n: [n, "=300+88000"], "B2", "formula"),
    "a formula for the number": (lambda n: ["=A9", 1], "A2", "formula"),
    "an error": (lambda n: [n, "#REF!"], "B2", "error"),
    "a truth value": (lambda n: [n, True], "B2", "not_an_amount"),
    "a rounded number": (lambda n: [int(n[:15] + "000"), 1], "A2", "rounded"),
    "a number as binary rounding leaves it": (lambda n: [float(n[:17] + "0"), 1], "A2", "rounded"),
    "a number as a spreadsheet shows it": (lambda n: ["1.10105E+17", 1], "A2", "rounded"),
    "a number cut short": (lambda n: [n[:-1], 1], "A2", "id_invalid"),
    "a number with a wrong check digit": (lambda n: [n[:-1] + ("1" if n[-1] != "1" else "2"), 1], "A2", "id_invalid"),
    "no number": (lambda n: [None, 88_000], "A2", "id_missing"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
async def test_a_cell_that_can_not_be_read_is_named_and_nobody_is_answered_by_it(office, services, kind):
    town, batch_id, (head, *others) = await ask_office(office)
    make, address, code = UNREADABLE[kind]
    content = sheet([make(head), *none_for(others)])
    seen = (await preview(town, batch_id, content)).json()
    assert [(cell["address"], cell["code"]) for cell in seen["unread"]] == [(address, code)]
    assert (seen["people"], seen["answered"], seen["unanswered"], seen["strangers"]) == (
        1 + len(others), len(others), 1, 0,
    )  # fmt: skip
    refused = await import_(town, batch_id, content)
    assert (refused.status_code, refused.json()["code"]) == (422, "case.check_cells_unread")
    assert [(item["code"], address in item["detail"]) for item in refused.json()["errors"]] == [(f"cell.{code}", True)]
    accepted = (await confirm(town, batch_id, content)).json()
    assert (accepted["unanswered"], accepted["strangers"], accepted["differing"]) == (1, 0, 0)
    async with services.sessions() as session:
        answers = await session.scalars(select(CrossCheck.answer).where(CrossCheck.answer.is_not(None)))
        assert len(list(answers)) == len(others)


def full_width(number):
    return "".join(chr(ord(character) + 0xFEE0) for character in number)


@pytest.mark.parametrize(
    "spell",
    [
        lambda n: f"'{n}",
        lambda n: f'="{n}"',
        lambda n: f"\t{n}",
        lambda n: f" {n[:6]} {n[6:14]} {n[14:]} ",
        full_width,
        str.lower,
        lambda n: f"\u200b{n}\u202c",
    ],
    ids=["apostrophe", "text formula", "tab", "groups", "full width", "lower case", "invisible"],
)
@pytest.mark.parametrize("form", ["csv", "xlsx"])
async def test_a_number_is_found_however_the_office_protected_it(office, spell, form):
    town, batch_id, (head, *others) = await ask_office(office)
    rows = [[spell(head), "88300"], *none_for(others)]
    if form == "xlsx":
        content = sheet(
            [[cell.removeprefix("=").strip('"') if cell[:2] == '="' else cell for cell in row] for row in rows]
        )
    else:
        content = "\r\n".join(f"{number},{amount}" for number, amount in [["身份证号", MONEY], *rows]).encode()
    answer = await import_(town, batch_id, content)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["unanswered"], answer.json()["strangers"]) == (0, 0)
    assert await found(town, batch_id) == [88_300_00]


async def test_a_whole_number_in_a_number_cell_is_found(office):
    """Programs other than spreadsheets write all its digits."""
    town, batch_id, people = await ask_office(office)
    exact = {700_000 + place: n for place, n in enumerate(people) if n.isdigit() and not n.endswith("000")}
    rows = [[{n: mark for mark, n in exact.items()}.get(number, number), 5] for number in people]
    content = with_numbers(sheet(rows), exact)
    assert (await import_(town, batch_id, content)).json()["unanswered"] == 0
    assert len(await found(town, batch_id)) == len(people)


def with_numbers(content, numbers):
    """Put whole numbers into number cells, where openpyxl itself writes 16 digits."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for part in old.namelist():
            data = old.read(part).decode()
            for mark, number in numbers.items():
                data = data.replace(f"<v>{mark}</v>", f"<v>{number}</v>")
            new.writestr(part, data)
    return out.getvalue()


async def test_a_person_in_two_homes_of_a_batch_is_answered_on_both_lines(office, services):
    town, batch_id, (head, *others) = await ask_office(office)
    async with open_session(services.sessions) as session:
        lines = list(await session.scalars(select(CrossCheck).order_by(CrossCheck.position)))
        member = await session.get_one(HouseholdMember, lines[0].member_id)
        twin_id = new_id()
        written = [column.name for column in HouseholdMember.__table__.columns if column.name != "search_terms"]
        columns = {name: getattr(member, name) for name in written}
        session.add(HouseholdMember(**columns | {"id": twin_id, "position": 90}))
        session.add(
            CrossCheck(
                id=new_id(),
                batch_id=lines[0].batch_id,
                case_id=lines[0].case_id,
                member_id=twin_id,
                position=900,
                differences=[],
            )
        )
    answer = await import_(town, batch_id, sheet([[head, 88_300], *none_for(others)]))
    assert (answer.json()["unanswered"], answer.json()["differing"]) == (0, 2)


async def test_a_title_above_the_headings_and_other_brackets_are_understood(office):
    town, batch_id, (head, *others) = await ask_office(office)
    content = sheet(
        [[head, 300], *none_for(others)],
        headings=("身份证号 ", "存款余额（元）"),
        above=[["核对结果"], [], ["日期", "今日"]],
    )
    assert (await import_(town, batch_id, content)).json()["differing"] == 1


async def test_the_list_itself_sent_back_without_answers_answers_nobody(office):
    town, batch_id, _ = await ask_office(office)
    answer = await import_(town, batch_id, await request_file(town, batch_id))
    assert (answer.status_code, answer.json()["code"]) == (422, "case.check_unreadable")


# --- the course: preview, confirm, replace


async def test_a_preview_counts_what_the_import_then_does_and_writes_nothing(office):
    town, batch_id, (head, *others) = await ask_office(office)
    content = sheet([[head, 300], *none_for(others), ["11010519491231002X", 5]])
    seen = (await preview(town, batch_id, content)).json()
    listed = (await town.http.get("/desk/v1/cross-checks")).json()["items"]
    assert next(item for item in listed if item["id"] == batch_id)["answeredAt"] is None
    done = (await import_(town, batch_id, content)).json()
    assert {name: seen[name] for name in ("people", "unanswered", "differing", "strangers")} == {
        name: done[name] for name in ("people", "unanswered", "differing", "strangers")
    }
    assert (seen["replaces"], seen["unreadCount"]) == (False, 0)
    assert (await preview(town, batch_id, content)).json()["replaces"] is True


async def test_a_corrected_file_replaces_the_first_until_a_household_was_heard(office, services):
    town, batch_id, (head, *others) = await ask_office(office)
    assert (await import_(town, batch_id, sheet([[head, 300], *none_for(others), ["11010519491231002X", 5]]))).json()[
        "strangers"
    ] == 1
    corrected = sheet([[head, 88_300], *none_for(others)])
    answer = await import_(town, batch_id, corrected)
    assert (answer.status_code, answer.json()["strangers"]) == (200, 0)
    assert await found(town, batch_id) == [88_300_00]
    assert (await import_(town, batch_id, corrected)).json() == answer.json()
    lines = (await town.http.get(f"/desk/v1/cross-checks/{batch_id}/lines")).json()
    said = await town.http.post(
        f"/desk/v1/cross-checks/lines/{lines[0]['line']['id']}/objection", json={"text": "钱是替人保管"}
    )
    assert said.status_code == 200
    third = sheet([[head, 5], *none_for(others)])
    for send in (import_, preview):
        assert (await send(town, batch_id, third)).json()["code"] == "case.check_answered"
    assert (await import_(town, batch_id, corrected)).json() == answer.json()
    assert await found(town, batch_id) == [88_300_00]
    async with services.sessions() as session:
        logged = await session.scalars(select(AuditEntry.facts).where(AuditEntry.action == "cross_check.answered"))
        assert [bool(facts["replaced"]) for facts in logged] == [False, True]


async def test_a_person_the_corrected_file_leaves_out_is_unanswered_again(office):
    town, batch_id, (head, *others) = await ask_office(office)
    await import_(town, batch_id, sheet([[head, 300], *none_for(others)]))
    answer = await import_(town, batch_id, sheet([["11010519491231002X", 5]]))
    assert (answer.json()["unanswered"], answer.json()["differing"]) == (1 + len(others), 0)


async def test_an_answer_that_an_officer_went_on_from_is_not_replaced(office):
    case_id = await office.case(consented_on=days.in_days(-10), state="preliminary")
    town, body, _ = await batch(office, "finance")
    rows = load_workbook(io.BytesIO(await request_file(town, body["id"]))).active.iter_rows(values_only=True)
    people = [row[2] for row in rows][1:]
    for amount in (1, 2):
        assert (await import_(town, body["id"], sheet([[number, amount] for number in people]))).status_code == 200
    await done(town, case_id, "hearing_called", reason="与申报差异较大")
    answer = await import_(town, body["id"], sheet([[number, 3] for number in people]))
    assert (answer.status_code, answer.json()["code"]) == (409, "case.check_answered")
