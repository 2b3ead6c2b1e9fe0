"""The rosters of a month: made, judged, checked, sent, answered by the bank, corrected. Over HTTP."""

from datetime import date
from typing import Any

from sqlalchemy import update

from bench.year.bank import Order
from bench.year.county import COUNTY
from bench.year.office import Json, SentRoster, Year, spread
from server.core.database import open_session
from server.core.id_numbers import mask_card
from server.core.ids import new_id
from server.models.cases import BankAccount

# One of so many lines: left out, on an account that is closed, sent back after it was paid.
LEFT_OUT, CLOSED, LATE = 2000, 200, 2000
_JUDGED_AT_ONCE = 200
REASON = "已核实"
# Nobody may pay in spite of it, and nothing has to be mended: what is owed for earlier months waits for the heirs.
_LEFT_OUT_FOR = {"death_certain"}


async def pay_month(year: Year, month: date, place: int) -> None:
    await year.move_to(month, 12)
    for program in sorted({f"{home.programme}_dibao" for home in year.homes}):
        roster = await _draft(year, {"program": program, "areaCode": COUNTY, "month": month.isoformat()})
        await _leave_some_out(year, roster, month, place)
        await _send(year, roster, month)
        orders = await _take_files(year, roster, month, program)
        year.bank.close_accounts(orders, CLOSED)
        await _read_answers(year, roster, orders)
        await _correct(year, roster, month, program, [75, 100] if place % 2 else [100])


async def _draft(year: Year, body: Json, path: str = "/desk/v1/rosters") -> str:
    await year.sign_in()
    with year.timed("rosters drafted and examined"):
        roster_id = str(new_id())
        await year.post("town", path, json={"id": roster_id, **body})
        await year.system.run_jobs()
    return roster_id


async def _leave_some_out(year: Year, roster: str, month: date, place: int) -> None:
    """Leave homes out of the first page for a reason that no finding names; another person takes one back in."""
    readmits = place == 1
    page = await year.get("town", f"/desk/v1/rosters/{roster}/lines", limit=200)
    shown = await year.get("town", f"/desk/v1/rosters/{roster}")
    lines = [line for line in page["items"] if line["dueFen"]]
    chosen = spread(lines, max(2, shown["homes"] // LEFT_OUT), 5 * place)
    for line in chosen:
        body = {"lineId": line["id"], "reason": "账户待核实"}
        await year.post("town", f"/desk/v1/rosters/{roster}/left-out", json=body)
        year.left_out[year.by_number[line["householdNumber"]].household_id] = month
    if readmits:
        home = year.by_number[chosen[0]["householdNumber"]]
        with year.timed("rosters drafted and examined"):
            body = {"householdId": str(home.household_id), "reason": "账户已核实"}
            await year.post("second", f"/desk/v1/rosters/{roster}/readmissions", json=body)
            await year.system.run_jobs()
        del year.left_out[home.household_id]
    year.counts["homes left out of a roster"] += len(chosen) - readmits
    year.counts["homes taken back into a roster"] += readmits


async def _send(year: Year, roster: str, month: date) -> None:
    """Judge what was found, and take the three steps of two people; a roster that pays nobody is cancelled."""
    with year.timed("findings of rosters judged"):
        findings = await year.get_all("town", f"/desk/v1/rosters/{roster}/findings", judged=False)
        certain = [finding for finding in findings if finding["code"] in _LEFT_OUT_FOR]
        await _judge(year, roster, certain, "leave_out")
        await _judge(year, roster, [finding for finding in findings if finding not in certain], "pay")
        for finding in certain:
            year.left_out[year.by_number[finding["householdNumber"]].household_id] = month
    if not (await year.get("town", f"/desk/v1/rosters/{roster}"))["homes"]:
        await year.post("town", f"/desk/v1/rosters/{roster}/acts", json={"act": "cancel", "reason": "全部剔除"})
        return
    with year.timed("rosters prepared, checked and sent"):
        for name, act in (("town", "prepare"), ("county", "check"), ("second", "send")):
            await year.post(name, f"/desk/v1/rosters/{roster}/acts", json={"act": act})


async def _judge(year: Year, roster: str, findings: list[Json], verdict: str) -> None:
    for start in range(0, len(findings), _JUDGED_AT_ONCE):
        ids = [finding["id"] for finding in findings[start : start + _JUDGED_AT_ONCE]]
        body = {"findingIds": ids, "verdict": verdict, "reason": REASON}
        await year.post("town", f"/desk/v1/rosters/{roster}/judgements", json=body)
    year.counts[f"findings judged: {verdict}"] += len(findings)


async def _take_files(year: Year, roster: str, month: date, program: str) -> list[Order]:
    with year.timed("bank files taken"):
        shown = await year.get("second", f"/desk/v1/rosters/{roster}")
        if shown["state"] == "cancelled":
            return []
        files = []
        for part in range(1, shown["files"] + 1):
            answer = await year.people["second"].http.get(f"/desk/v1/rosters/{roster}/file", params={"part": part})
            answer.raise_for_status()
            files.append(answer.content)
    orders = year.bank.take(files)
    ordered_fen = sum(order.fen for order in orders)
    year.rosters.append(SentRoster(roster, month, program, shown["totalFen"], ordered_fen))
    year.counts["lines sent to the bank"] += len(orders)
    year.counts["bank files"] += len(files)
    return orders


async def _read_answers(year: Year, roster: str, orders: list[Order]) -> None:
    """The bank answers in parts and repeats itself; some of what it had paid comes back days later."""
    if not orders:
        return
    year.clock.move_on(60 * 24)
    await year.sign_in()
    with year.timed("answers of the bank read"):
        for content in year.bank.answer(orders):
            shown = await _read_answer(year, roster, content)
        if shown["state"] != "settled":
            raise RuntimeError(f"roster {shown['number']} is {shown['state']} after the bank answered all of it")
        late, sent_back = year.bank.send_back_late(orders, len(orders) // LATE + 1)
        if sent_back:
            await _read_answer(year, roster, late)
    year.counts["lines sent back late"] += len(sent_back)


async def _read_answer(year: Year, roster: str, content: str) -> Json:
    year.counts["answers of the bank"] += 1
    return await year.post(
        "county", f"/desk/v1/rosters/{roster}/answers", data={"id": str(new_id())},
        files={"file": ("answer.csv", content.encode("gb18030"), "text/csv")},
    )  # fmt: skip


async def _correct(year: Year, roster: str, month: date, program: str, mended_percents: list[int]) -> None:
    """Pay again what came back: a correction after each round of mended accounts, whose own failures go to the next."""
    for mended_percent in mended_percents:
        returned = await year.get_all("town", f"/desk/v1/rosters/{roster}/lines", state="returned")
        if not returned:
            return
        await _mend_accounts(year, [line["headName"] for line in returned], mended_percent)
        roster = await _draft(year, {}, f"/desk/v1/rosters/{roster}/corrections")
        await _send(year, roster, month)
        orders = await _take_files(year, roster, month, program)
        await _answer_correction(year, roster, orders)
        year.counts["corrections"] += 1


async def _answer_correction(year: Year, roster: str, orders: list[Order]) -> None:
    if orders:
        with year.timed("answers of the bank read"):
            *_, whole = year.bank.answer(orders)
            await _read_answer(year, roster, whole)


async def _mend_accounts(year: Year, heads: list[str], percent: int) -> None:
    """Write new accounts: guarded changes of accounts are tested elsewhere."""
    by_head = {home.head: home for home in year.homes}
    encryption = year.services.encryption
    for head in heads[: max(1, len(heads) * percent // 100)]:
        home = by_head[head]
        home.card = str(int(home.card) + 10**9)
        year.bank.holders[home.card] = home.head
        values: dict[str, Any] = {
            "card_sealed": encryption.seal("bank_account.card", home.household_id, home.card),
            "card_mask": mask_card(home.card),
            "card_index": encryption.index("bank_card", home.card),
        }
        async with open_session(year.services.sessions) as session:
            await session.execute(
                update(BankAccount).where(BankAccount.household_id == home.household_id).values(**values)
            )


# -- the linked-aid ledger


async def hand_out(year: Year, month: date, place: int, village: str) -> None:
    """Give the homes of a village something by two people, and hand it out to some of them."""
    each_fen = (50 + place) * 100
    with year.timed("handouts of the aid ledger"):
        body = {
            "id": str(new_id()),
            "kind": "heating",
            "areaCode": village,
            "month": month.isoformat(),
            "eachFen": each_fen,
        }
        batch = await year.post("town", "/desk/v1/aid-batches", json=body)
        path = f"/desk/v1/aid-batches/{batch['id']}"
        findings = await year.get_all("town", f"{path}/findings", judged=False)
        if findings:
            verdict = {"findingIds": [finding["id"] for finding in findings], "verdict": "dismissed", "reason": REASON}
            await year.post("town", f"{path}/judgements", json=verdict)
        for name, act in (("town", "prepare"), ("county", "release")):
            await year.post(name, f"{path}/acts", json={"act": act})
        lines = (await year.get("town", "/desk/v1/aid-lines", batch=batch["id"], limit=200))["items"][:10]
        given_on = month.replace(day=26).isoformat()
        handouts = [{"lineId": line["id"], "state": "handed_out", "givenOn": given_on} for line in lines]
        await year.post("town", f"{path}/handouts", json={"handouts": handouts})
    year.handed_out_fen[month] += each_fen * len(handouts)
    year.counts["handouts"] += len(handouts)
