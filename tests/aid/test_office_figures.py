"""Figures of real offices (docs/domain.md#office-figures) entered into the ledger: what agrees, what is flagged."""

from typing import Any

from server.core.figures import check_figures
from server.core.ids import new_id
from tests import days
from tests.makers.aid import AidOffice
from tests.makers.rosters import RosterOffice

MONTHS = 12


async def codes(aid, batch):
    return [finding["code"] for finding in await aid.findings(batch)]


async def test_forty_six_homes_are_given_money_and_coal_and_every_sum_of_the_paper_agrees(office, system, services):
    aid = AidOffice(await RosterOffice(office, system, services).open(46))
    chosen = [str(home.household_id) for home in aid.homes]
    papers: list[tuple[str, dict[str, Any], dict[str, int]]] = [
        ("heating", {"eachFen": 300_00}, {"homes": 46, "fen": 13_800_00}),
        ("meat_subsidy", {"eachFen": 24_00}, {"homes": 46, "fen": 1_104_00}),
        ("price_subsidy", {"eachFen": 12_00}, {"homes": 46, "fen": 552_00}),
        (
            "temporary",
            {"eachFen": 246_00, "basis": "person", "cause": "illness", "householdIds": chosen[:15]},
            {"homes": 15, "people": 30, "fen": 7_380_00},
        ),
        (
            "coal",
            {"eachMilli": 3000, "boughtMilli": 81_000, "householdIds": chosen[:27]},
            {"homes": 27, "milli": 81_000},
        ),
    ]
    for kind, each, stated in papers:
        batch = await aid.handed_out(kind, stated=stated, **each)
        assert await codes(aid, batch) == []
        (row,) = await aid.report(kind=kind)
        sums = {"homes": row["homes"], "people": row["people"], "fen": row["fen"], "milli": row["milli"]}
        assert {name: sums[name] for name in stated} == stated
    wrong = await aid.make("flour", eachMilli=1000, boughtMilli=45_000, stated={"homes": 45, "milli": 45_000})
    assert await codes(aid, wrong) == ["homes_differ", "more_than_bought", "quantity_differs"]


async def test_a_year_of_a_county_adds_up_to_the_fen_and_says_how_much_a_head(aid):
    """4,242 people and 7,136,513 yuan a year: 140.20 a person-month. A home stands for all of them."""
    home = aid.homes[0]
    await aid.pay.decide(home, "raised", days.month(-6), 300_00, people=4242)
    year_fen = 7_136_513_00
    for ahead in range(MONTHS):
        share_fen = year_fen // MONTHS + (1 if ahead < year_fen % MONTHS else 0)
        batch = await aid.make("education", householdIds=[], month=days.month(ahead - MONTHS + 1).isoformat())
        line = {"id": str(new_id()), "householdId": str(home.household_id), "fen": share_fen, "people": 100}
        path = f"/desk/v1/aid-batches/{batch['id']}"
        assert (await aid.town.http.post(f"{path}/lines", json=line)).status_code == 201
        for desk, act in ((aid.town, "prepare"), (aid.county, "release")):
            assert (await aid.act(desk, batch, act)).status_code == 200
        (added,) = await aid.lines(batch)
        handout = {"lineId": added["id"], "state": "handed_out", "givenOn": days.in_days(0).isoformat()}
        assert (await aid.hand_out(batch, handout)).status_code == 200
    rows = await aid.report(since=days.month(1 - MONTHS).isoformat(), kind="education")
    assert (len(rows), sum(row["fen"] for row in rows)) == (MONTHS, year_fen)
    (head,) = check_figures(f"{sum(row['fen'] for row in rows) / 100:.2f}/4,242/12 = 140.20")
    assert head.verdict == "rounded"


async def test_what_a_paper_gets_wrong_is_flagged_and_kept_as_it_was_entered(aid):
    """718 × 1,006 = 722,308 and not 722,618; 41 × 1,006 = 41,246 and 76 × 1,804 = 137,104 agree."""
    for people, each_fen, stated_fen, expected in (
        (718, 1_006_00, 722_618_00, ["amount_differs"]),
        (41, 1_006_00, 41_246_00, []),
        (76, 1_804_00, 137_104_00, []),
    ):
        home = aid.homes[0]
        await aid.pay.decide(home, "raised", days.month(-1), 300_00, people=people)
        batch = await aid.make(
            "medical", eachFen=each_fen, basis="person", householdIds=[str(home.household_id)],
            stated={"people": people, "fen": stated_fen},
        )  # fmt: skip
        assert (await codes(aid, batch), batch["stated"]["fen"]) == (expected, stated_fen)
        assert batch["plannedFen"] == people * each_fen
