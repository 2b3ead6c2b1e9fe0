"""A batch of aid goes from its draft over two people to the homes; what was handed out is never overwritten."""

import io

import openpyxl
import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from server.aid.quantities import format_milli, parse_milli
from server.core.database import open_session
from server.core.ids import new_id
from server.models.aid import AidBatch
from server.models.areas import Area
from server.models.audit import AuditEntry
from server.models.cases import RelativeOnStaff
from server.models.households import Household
from tests import days
from tests.makers.aid import stand_in, to_head, to_proxy
from tests.makers.rosters import PILOT


async def test_coal_for_a_village_takes_two_people_and_adds_up(aid):
    batch = await aid.make("coal", eachMilli=2500, unitFen=800_00, boughtMilli=10_000)
    assert (batch["state"], batch["homes"], batch["people"]) == ("drafted", 4, 8)
    assert (batch["plannedMilli"], batch["plannedFen"], batch["openFindings"]) == (10_000, 8_000_00, 0)
    assert (await aid.act(aid.county, batch, "release")).json()["code"] == "aid.not_now"
    assert (await aid.act(aid.town, batch, "prepare")).json()["state"] == "prepared"
    assert (await aid.act(aid.town, batch, "release")).json()["code"] == "aid.second_person"
    released = (await aid.act(aid.county, batch, "release")).json()
    assert (released["state"], released["mayHandOut"]) == ("released", True)
    again = (await aid.act(aid.county, batch, "release")).json()
    assert again["releasedAt"] == released["releasedAt"]
    lines = await aid.lines(batch)
    assert [line["headName"] for line in lines] == [home.head for home in aid.homes]
    assert {(line["plannedMilli"], line["plannedFen"], line["givenMilli"]) for line in lines} == {(2500, 2000_00, None)}
    assert (await aid.act(aid.town, batch, "close")).json()["code"] == "aid.lines_open"
    record = to_head(lines[0], signatureSha256="a" * 64, fix={"latitude": 30.1, "longitude": 120.2, "accuracyM": 8.5})
    for _ in range(2):
        answer = await aid.hand_out(batch, record)
        assert (answer.status_code, answer.json()["givenMilli"]) == (200, 2500)
    other = await aid.hand_out(batch, record | {"milli": 2400})
    assert other.json()["code"] == "aid.handed_out"
    absent = {"lineId": lines[1]["id"], "state": "not_handed_out", "reason": "家中无人"}
    rest = [to_head(lines[2]), to_proxy(lines[3], "邹小路")]
    assert (await aid.hand_out(batch, absent, *rest)).status_code == 200
    later = await aid.hand_out(batch, to_head(lines[1], recipient="member", recipientName=aid.homes[1].spouse))
    assert (later.json()["givenMilli"], later.json()["givenFen"]) == (10_000, 8_000_00)
    closed = (await aid.act(aid.town, batch, "close")).json()
    assert (closed["state"], closed["acts"], closed["mayHandOut"]) == ("closed", [], False)
    lines = await aid.lines(batch)
    assert (lines[0]["hasSignature"], lines[0]["hasFix"], lines[0]["recipientName"]) == (True, True, aid.homes[0].head)
    assert (lines[3]["recipient"], lines[3]["recipientName"], lines[3]["relation"]) == ("proxy", "邹小路", "邻居")
    async with aid.pay.services.sessions() as session:
        actions = await session.scalars(
            select(AuditEntry.action).where(AuditEntry.thing_id == batch["id"]).order_by(AuditEntry.id)
        )
        steps = ["batch_made", "batch_prepared", "batch_released", "handed_out", "handed_out", "handed_out"]
        assert list(actions) == [f"aid.{step}" for step in [*steps, "batch_closed"]]


async def test_the_database_itself_refuses_one_person_for_both_steps(aid):
    batch = await aid.released("heating", eachFen=100_00)
    with pytest.raises(IntegrityError, match="releasing_takes_two"):
        async with open_session(aid.pay.services.sessions) as session:
            await session.execute(
                update(AidBatch).where(AidBatch.id == batch["id"]).values(released_by=AidBatch.prepared_by)
            )


async def test_the_same_batch_again_is_the_same_and_another_under_its_id_a_conflict(aid):
    body = {"id": str(new_id()), "eachFen": 50_00}
    first, again = [await aid.make("price_subsidy", basis="person", **body) for _ in range(2)]
    assert (first["number"], first["plannedFen"]) == (again["number"], 4 * 2 * 50_00)
    answer = await aid.ask_to_make("heating", **body)
    assert answer.json()["code"] == "request.idempotency_key_reused"


@pytest.mark.parametrize(
    ("kind", "more", "pointer"),
    [
        ("heating", {}, "/eachFen"),
        ("heating", {"eachFen": 1, "eachMilli": 1000}, "/eachMilli"),
        ("coal", {"eachFen": 100}, "/eachFen"),
        ("coal", {}, "/eachMilli"),
        ("coal", {"eachMilli": 1, "unitFen": 1}, "/unitFen"),
        ("temporary", {"eachFen": 100}, "/cause"),
        ("gold", {"eachFen": 100}, "/kind"),
        ("heating", {"eachFen": 100, "month": days.month(1).isoformat()}, "/month"),
        ("heating", {"eachFen": 100, "areaCode": "339999"}, None),
    ],
)
async def test_a_batch_that_does_not_fit_its_kind_is_refused_with_the_place(aid, kind, more, pointer):
    answer = await aid.ask_to_make(kind, **more)
    if pointer is None:
        assert answer.json()["code"] == "auth.forbidden"
    else:
        assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


async def test_temporary_help_is_added_by_hand_for_a_member_with_its_cause(aid):
    batch = await aid.make("temporary", householdIds=[])
    home = aid.homes[0]
    line = {"id": str(new_id()), "householdId": str(home.household_id), "memberId": str(home.spouse_id), "fen": 800_00}
    path = f"/desk/v1/aid-batches/{batch['id']}/lines"
    assert (await aid.town.http.post(path, json=line)).json()["errors"][0]["pointer"] == "/cause"
    for _ in range(2):
        added = await aid.town.http.post(path, json=line | {"cause": "illness"})
        assert (added.status_code, added.json()["plannedFen"], added.json()["people"]) == (201, 800_00, 1)
    (entered,) = await aid.lines(batch)
    assert (entered["memberName"], entered["causeZh"], entered["source"]) == (home.spouse, "疾病", "entry")
    elsewhere = line | {"id": str(new_id()), "memberId": str(aid.homes[1].spouse_id), "cause": "illness"}
    assert (await aid.town.http.post(path, json=elsewhere)).json()["code"] == "thing.not_found"
    left = {"lineId": entered["id"], "reason": "填错了人"}
    shown = (await aid.town.http.post(f"/desk/v1/aid-batches/{batch['id']}/left-out", json=left)).json()
    assert (shown["plannedFen"], [state["state"] for state in shown["states"]]) == (0, ["left_out"])
    assert (await aid.act(aid.town, batch, "prepare")).json()["code"] == "aid.empty"


async def test_money_is_never_more_than_two_people_agreed_to_and_a_record_names_who_received(aid):
    batch = await aid.released("heating", eachFen=300_00)
    first, *_ = await aid.lines(batch)
    for record, field in (
        (to_head(first, fen=300_01), "fen"),
        (to_head(first, milli=1000), "milli"),
        (to_head(first, givenOn=days.in_days(1).isoformat()), "givenOn"),
        (to_head(first, givenOn=days.in_days(-40).isoformat()), "givenOn"),
        (to_proxy(first, ""), "recipientName"),
        (to_proxy(first, "邹小路") | {"relation": " "}, "relation"),
        ({"lineId": first["id"], "state": "not_handed_out"}, "reason"),
    ):
        answer = await aid.hand_out(batch, record)
        assert [fault["pointer"] for fault in answer.json()["errors"]] == [f"/handouts/0/{field}"], answer.text
    part = await aid.hand_out(batch, to_head(first, fen=250_00))
    assert (part.json()["givenFen"], part.json()["plannedFen"]) == (250_00, 4 * 300_00)


async def test_what_was_handed_out_is_taken_back_with_a_reason_and_stays_readable(aid):
    batch = await aid.handed_out("heating", eachFen=300_00)
    first, *_ = await aid.lines(batch)
    path = f"/desk/v1/aid-lines/{first['id']}/take-back"
    for _ in range(2):
        shown = (await aid.town.http.post(path, json={"reason": "发错了户"})).json()
        assert shown["givenFen"] == 3 * 300_00
    line = (await aid.lines(batch))[0]
    assert (line["state"], line["givenFen"], line["reason"]) == ("taken_back", 300_00, "发错了户")
    assert sum(row["fen"] for row in await aid.report()) == 3 * 300_00


async def test_a_town_reads_its_own_villages_and_a_supervisor_only_reads(aid, office):
    batch = await aid.make("heating", eachFen=300_00)
    elsewhere = await office.sign_in("yusonggu")
    assert (await elsewhere.http.get(f"/desk/v1/aid-batches/{batch['id']}")).status_code == 404
    assert (await elsewhere.http.get("/desk/v1/aid-lines")).json()["items"] == []
    answer = await elsewhere.http.post(f"/desk/v1/aid-batches/{batch['id']}/acts", json={"act": "prepare"})
    assert answer.status_code == 404
    supervisor = await office.person("supervisor")
    assert (await supervisor.http.get(f"/desk/v1/aid-batches/{batch['id']}")).json()["acts"] == []
    assert (await aid.act(supervisor, batch, "prepare")).json()["code"] == "auth.forbidden"


async def test_the_class_and_a_merged_home_decide_who_is_on_the_list(aid):
    async with open_session(aid.pay.services.sessions) as session:
        first, second = aid.homes[0].household_id, aid.homes[1].household_id
        await session.execute(update(Household).where(Household.id == first).values(class_="A"))
        await session.execute(
            update(Household).where(Household.id == second).values(merged_into=aid.homes[2].household_id)
        )
    of_class = await aid.make("heating", eachFen=100_00, **{"class": "A"})
    assert [line["headName"] for line in await aid.lines(of_class)] == [aid.homes[0].head]
    assert (await aid.make("coal", eachMilli=1000))["homes"] == 3
    assert (await aid.make("flour", eachMilli=1000, programme="urban"))["homes"] == 0


async def test_the_ledger_is_a_file_with_exact_sums_and_the_sheet_a_pdf(aid):
    batch = await aid.handed_out("coal", eachMilli=3000, unitFen=800_00)
    answer = await aid.county.http.get("/desk/v1/aid-lines/export", params={"batch": batch["id"]})
    headings, *rows = openpyxl.load_workbook(io.BytesIO(answer.content)).active.iter_rows(values_only=True)
    column = headings.index("发放数量")
    assert [row[column] for row in rows] == [3, 3, 3, 3]
    sheet = await aid.county.http.get(f"/desk/v1/aid-batches/{batch['id']}/sign-off")
    assert (sheet.headers["content-type"], sheet.content[:5]) == ("application/pdf", b"%PDF-")
    draft = await aid.make("flour", eachMilli=1000)
    unready = await aid.county.http.get(f"/desk/v1/aid-batches/{draft['id']}/sign-off")
    assert unready.json()["code"] == "aid.not_now"


def test_quantities_are_read_and_shown_exactly():
    for text, milli in (("3", 3000), ("2.5", 2500), ("0.005", 5), ("81.000", 81_000), ("1.2345", None), ("1,5", None)):
        assert parse_milli(text) == milli
    assert [format_milli(milli) for milli in (81_000, 2500, 5, -1500)] == ["81", "2.5", "0.005", "-1.5"]


async def test_kinds_are_the_areas_own(aid):
    kinds = (await aid.town.http.get("/desk/v1/aid-kinds", params={"area": PILOT})).json()
    assert {"coal", "temporary", "medical", "meat_coupon"} <= {kind["code"] for kind in kinds}
    assert next(kind for kind in kinds if kind["code"] == "coal")["unitZh"] == "吨"


async def test_a_deputy_does_not_release_what_the_person_they_stand_in_for_prepared(aid):
    batch = await aid.make("heating", eachFen=100_00)
    await aid.act(aid.town, batch, "prepare")
    await stand_in(aid.pay.services, aid.county, aid.town, "town_officer", PILOT[:9])
    assert (await aid.act(aid.county, batch, "release")).json()["code"] == "aid.second_person"
    assert "release" not in (await aid.show(batch))["acts"]


async def test_a_batch_of_listed_homes_takes_none_from_elsewhere(aid):
    other = "339901001991"
    async with open_session(aid.pay.services.sessions) as session:
        session.add(Area(code=other, name="邻村", parent_code=PILOT[:9]))
    ids = [str(aid.homes[0].household_id)]
    answer = await aid.ask_to_make("heating", areaCode=other, householdIds=ids, eachFen=100_00)
    assert [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]] == [
        ("/householdIds", "area.elsewhere")
    ]


async def test_a_declared_relative_neither_adds_nor_hands_out_nor_takes_back(aid):
    home = aid.homes[0]
    batch = await aid.handed_out("heating", eachFen=100_00)
    released = await aid.released("coal", eachMilli=1000)
    draft = await aid.make("medical", householdIds=[])
    async with open_session(aid.pay.services.sessions) as session:
        session.add(
            RelativeOnStaff(
                household_id=home.household_id, name=aid.town.signed_in["name"], office="民政", relation="舅",
                declared_on=days.month(),
            )
        )  # fmt: skip
    line = {"id": str(new_id()), "householdId": str(home.household_id), "fen": 100_00}
    added = await aid.town.http.post(f"/desk/v1/aid-batches/{draft['id']}/lines", json=line)
    given = await aid.hand_out(released, *[to_head(line) for line in await aid.lines(released)])
    (own,) = [line for line in await aid.lines(batch) if line["headName"] == home.head]
    taken = await aid.town.http.post(f"/desk/v1/aid-lines/{own['id']}/take-back", json={"reason": "已退款"})
    assert [answer.json()["code"] for answer in (added, given, taken)] == ["case.own_relative"] * 3
