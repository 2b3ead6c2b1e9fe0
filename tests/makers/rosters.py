"""A village whose homes are paid by rosters: homes with cases in force, accounts and decisions, written directly."""

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.id_numbers import mask_card
from server.core.ids import new_id
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.benefits import BenefitChange
from server.models.cases import BankAccount, CaseFile
from server.models.households import Household, HouseholdMember
from server.models.rosters import Roster, RosterLine
from tests import days

PILOT = "339901001990"
_DECISIONS = {"granted": "新增", "raised": "增发", "cut": "减发", "stopped": "停发"}
_NAMES = "安平康宁福禄寿喜春夏秋冬梅兰竹菊"


@dataclass
class PaidHome:
    household_id: UUID
    case_id: UUID
    number: str
    head: str
    spouse: str
    spouse_id: UUID
    card: str


class RosterOffice:
    """The officers of a town and its county, and a village of paid homes."""

    def __init__(self, office, system, services) -> None:
        self.office, self.system, self.services = office, system, services
        self.homes: list[PaidHome] = []

    async def open(self, homes: int = 4, *, amount_fen: int = 300_00) -> "RosterOffice":
        self.town, self.county = await self.office.person("town_officer"), await self.office.person("county_officer")
        async with open_session(self.services.sessions) as session:
            session.add(Area(code=PILOT, name="试点村", parent_code=PILOT[:9]))
        for _ in range(homes):
            await self.home(amount_fen=amount_fen)
        return self

    async def home(
        self,
        *,
        amount_fen: int = 300_00,
        since: date | None = None,
        holder: str | None = None,
        card: str | None = None,
        has_account: bool = True,
        programme: str | None = "rural",
    ) -> PaidHome:
        """A couple that is paid since half a year."""
        place = len(self.homes)
        head, spouse = f"安{_NAMES[place % 16]}{_NAMES[place // 16]}", f"和{_NAMES[place % 16]}{_NAMES[place // 16]}"
        home = PaidHome(
            new_id(), new_id(), f"TS-{place:05d}", head, spouse, new_id(), card or f"62220200000{place:08d}"
        )
        since = since or days.month(-6)
        async with open_session(self.services.sessions) as session:
            session.add(
                Household(
                    id=home.household_id, number=home.number, area_code=PILOT, head_name=head, address="试点村",
                    class_="B", monthly_amount_fen=amount_fen,
                    members=[_member(new_id(), 0, head), _member(home.spouse_id, 1, spouse)],
                )
            )  # fmt: skip
            await session.flush()
            session.add(
                CaseFile(
                    id=home.case_id, number=f"TSQ-{place:05d}", household_id=home.household_id, area_code=PILOT,
                    state="in_force", applied_on=since, rules_on=since, programme=programme, amount_fen=amount_fen,
                    paid_from=since,
                )
            )  # fmt: skip
            await session.flush()
        await self.decide(home, "granted", since, amount_fen, decided_on=since)
        if has_account:
            await self.account(home, card=home.card, holder=holder or head)
        self.homes.append(home)
        return home

    async def decide(
        self, home: PaidHome, kind: str, month: date, amount_fen: int, *, people: int = 2, ground: str | None = None,
        decided_on: date | None = None,
    ) -> None:  # fmt: skip
        names = {"ground": ground, "ground_zh": ground, "ground_en": ground}
        async with open_session(self.services.sessions) as session:
            session.add(
                BenefitChange(
                    id=new_id(), case_id=home.case_id, household_id=home.household_id, area_code=PILOT, kind=kind,
                    month=month, before_fen=0, amount_fen=amount_fen, people=people, reason=f"测试决定（{_DECISIONS[kind]}）",
                    class_="B", decided_by=None, decided_on=decided_on or day_of(utc_now()), in_effect_at=utc_now(),
                    **names,
                )
            )  # fmt: skip
            values: dict[str, Any] = {"amount_fen": amount_fen}
            if kind == "stopped":
                values = {"state": "stopped", "stopped_from": month}
            await session.execute(update(CaseFile).where(CaseFile.id == home.case_id).values(**values))
            if kind == "stopped":
                ended = update(Household).where(Household.id == home.household_id)
                await session.execute(ended.values(monthly_amount_fen=None))

    async def account(self, home: PaidHome, *, card: str | None = None, holder: str | None = None) -> None:
        encryption = self.services.encryption
        async with open_session(self.services.sessions) as session:
            row = await session.get(BankAccount, home.household_id)
            if row is None:
                row = BankAccount(household_id=home.household_id, bank_name="农商行")
                session.add(row)
            if holder:
                row.holder_name = holder
            if card:
                row.card_sealed = encryption.seal("bank_account.card", home.household_id, card)
                row.card_mask = mask_card(card)

    # -- through the API, as an office does

    async def make(self, month: date, *, program: str = "rural_dibao", area: str = PILOT) -> str:
        body = {"id": str(new_id()), "program": program, "areaCode": area, "month": month.isoformat()}
        answer = await self.town.http.post("/desk/v1/rosters", json=body)
        assert answer.status_code == 201, answer.text
        await self.system.run_jobs()
        roster: str = answer.json()["id"]
        return roster

    async def show(self, roster: str) -> dict[str, Any]:
        answer = await self.county.http.get(f"/desk/v1/rosters/{roster}")
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    async def lines(self, roster: str) -> list[dict[str, Any]]:
        answer = await self.county.http.get(f"/desk/v1/rosters/{roster}/lines", params={"limit": 200})
        lines: list[dict[str, Any]] = answer.json()["items"]
        return lines

    async def findings(self, roster: str, *, judged: bool = False) -> list[dict[str, Any]]:
        answer = await self.county.http.get(
            f"/desk/v1/rosters/{roster}/findings", params={"judged": judged, "limit": 200}
        )
        findings: list[dict[str, Any]] = answer.json()["items"]
        return findings

    async def judge(self, roster: str, verdict: str = "pay", *, desk=None) -> None:
        """Judge all that wait, with a reason."""
        ids = [finding["id"] for finding in await self.findings(roster)]
        if ids:
            body = {"findingIds": ids, "verdict": verdict, "reason": "已核实（测试）"}
            answer = await (desk or self.town).http.post(f"/desk/v1/rosters/{roster}/judgements", json=body)
            assert answer.status_code == 200, answer.text

    async def act(self, desk, roster: str, act: str, **more: Any):
        answer = await desk.http.post(f"/desk/v1/rosters/{roster}/acts", json={"act": act, **more})
        if act == "draft_again":
            await self.system.run_jobs()
        return answer

    async def sent(self, month: date, **more: Any) -> str:
        """A roster that went all the way to the bank; what has to be judged is judged."""
        roster = await self.make(month, **more)
        await self.judge(roster)
        for desk, act in ((self.town, "prepare"), (self.county, "check"), (self.town, "send")):
            answer = await self.act(desk, roster, act)
            assert answer.status_code == 200, answer.text
        return roster

    async def answer(
        self, roster: str, results: dict[str, str], *, amounts: dict[str, str] | None = None, name="a.csv"
    ):
        """A file of the bank, as the plain form has it: result by reference."""
        totals = {line["reference"]: line["totalFen"] for line in await self.lines(roster)}
        rows = ["业务编号,金额,结果,失败原因"]
        for reference, result in results.items():
            amount = (amounts or {}).get(reference) or f"{totals.get(reference, 0) / 100:.2f}"
            rows.append(f"{reference},{amount},{result},{'户名不符' if result == '失败' else ''}")
        content = "\r\n".join(rows).encode("gb18030")
        return await self.county.http.post(
            f"/desk/v1/rosters/{roster}/answers",
            data={"id": str(new_id())},
            files={"file": (name, content, "text/csv")},
        )

    async def settled(self, month: date) -> str:
        roster = await self.sent(month)
        results = {line["reference"]: "成功" for line in await self.lines(roster) if line["totalFen"]}
        assert (await self.answer(roster, results)).json()["state"] == "settled"
        return roster

    async def alter(self, roster: str, place: int = 0, **values: Any) -> None:
        """Change a line in the table, behind the application's back."""
        async with open_session(self.services.sessions) as session:
            line = await session.scalar(
                select(RosterLine)
                .where(RosterLine.roster_id == UUID(roster))
                .order_by(RosterLine.position)
                .offset(place)
            )
            assert line is not None
            await session.execute(update(RosterLine).where(RosterLine.id == line.id).values(**values))

    async def alter_roster(self, roster: str, **values: Any) -> None:
        async with open_session(self.services.sessions) as session:
            await session.execute(update(Roster).where(Roster.id == UUID(roster)).values(**values))


def _member(member_id: UUID, position: int, name: str) -> HouseholdMember:
    return HouseholdMember(
        id=member_id, position=position, name=name, relation="spouse" if position else "head",
        sex="female" if position else "male", born_on=date(1960, 3, 4),
    )  # fmt: skip
