"""The report of aid adds up to its lines, by month, area and kind, and to what rosters paid."""

import io

import openpyxl

from server.core.ids import new_id
from tests import days
from tests.makers.rosters import PILOT


async def test_the_report_is_the_sum_of_the_lines_for_every_month_area_and_kind(aid):
    before = days.month(-1).isoformat()
    await aid.handed_out("coal", eachMilli=3000, unitFen=800_00)
    await aid.handed_out("coal", eachMilli=500, month=before)
    await aid.handed_out("price_subsidy", eachFen=33_33, basis="person")
    absent = await aid.released("meat_subsidy", eachFen=24_00)
    nobody = [{"lineId": line["id"], "state": "not_handed_out", "reason": "外出"} for line in await aid.lines(absent)]
    assert (await aid.hand_out(absent, *nobody)).status_code == 200
    await aid.pay.settled(days.month())
    lines = [line for line in await aid.lines() if line["state"] == "handed_out"]
    for by in ("county", "town", "village"):
        rows = await aid.report(since=before, by=by)
        own = [row for row in rows if row["origin"] == "aid"]
        assert sum(row["fen"] for row in own) == sum(line["givenFen"] or 0 for line in lines)
        assert sum(row["milli"] or 0 for row in own) == sum(line["givenMilli"] or 0 for line in lines)
        assert sum(row["people"] for row in own) == sum(line["people"] for line in lines)
        (paid,) = [row for row in rows if row["origin"] == "roster"]
        assert (paid["homes"], paid["fen"]) == (4, 4 * 300_00)
    of_month = {row["kind"]: row for row in await aid.report() if row["origin"] == "aid"}
    assert (of_month["coal"]["milli"], of_month["coal"]["fen"], of_month["coal"]["unitZh"]) == (12_000, 9_600_00, "吨")
    assert (of_month["price_subsidy"]["people"], of_month["price_subsidy"]["fen"]) == (8, 8 * 33_33)
    assert set(of_month) == {"coal", "price_subsidy"}
    (coal,) = await aid.report(kind="coal", area=PILOT, by="village")
    assert coal["areaName"] == "试点村"
    too_long = await aid.county.http.get("/desk/v1/aid-report", params={"since": days.month(-40).isoformat()})
    assert too_long.json()["code"] == "request.invalid"


async def test_nobody_reads_the_report_of_another_town(aid, office):
    await aid.handed_out("coal", eachMilli=3000)
    elsewhere = await office.sign_in("yusonggu")
    assert (await elsewhere.http.get("/desk/v1/aid-report", params={"by": "county"})).json() == []


async def test_lists_are_filtered_and_each_is_a_file_with_the_same_rows(aid):
    coal = await aid.handed_out("coal", eachMilli=3000)
    await aid.make("flour", eachMilli=1000, stated={"homes": 9})
    for filters, kinds in (({"kind": "coal"}, ["coal"]), ({"state": "drafted"}, ["flour"]), ({"area": "339902"}, [])):
        listed = (await aid.county.http.get("/desk/v1/aid-batches", params=filters)).json()["items"]
        assert [batch["kind"] for batch in listed] == kinds
        assert len(await rows_of(aid, "/desk/v1/aid-batches/export", filters)) == len(kinds)
    home = str(aid.homes[0].household_id)
    (line,) = await aid.lines(household=home, state="handed_out")
    assert line["batchNumber"] == coal["number"]
    assert len(await aid.lines(kind="flour", since=days.month().isoformat(), until=days.month().isoformat())) == 4
    assert len(await rows_of(aid, f"/desk/v1/aid-batches/{coal['id']}/findings/export", {})) == 0
    assert len(await rows_of(aid, "/desk/v1/aid-report/export", {})) == 1
    assert (await aid.county.http.get(f"/desk/v1/aid-batches/{new_id()}/findings")).status_code == 404


async def test_the_desk_checks_the_figures_of_a_paper(aid):
    body = {"text": "18 = 2 + 12 + 2 + 4\n300 × 46 = 13,800\n36,960/85; 43,512/86; 42,288/43; 43,437/85"}
    answer = await aid.town.http.post("/desk/v1/figure-checks", json=body)
    checked = [(figure["verdict"], figure["difference"], figure["odd"]) for figure in answer.json()]
    assert checked == [("differs", "-2", []), ("agrees", "0", []), ("differs", "", [3])]


async def rows_of(aid, path, filters):
    answer = await aid.county.http.get(path, params=filters)
    assert answer.status_code == 200, answer.text
    return list(openpyxl.load_workbook(io.BytesIO(answer.content)).active.iter_rows(min_row=2, values_only=True))
