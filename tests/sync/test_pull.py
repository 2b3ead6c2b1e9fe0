"""Pull: bounded, cheap when there is nothing, honest about what the phone holds, and never a row too early."""

import asyncio
import contextlib
import hashlib
import itertools
import random

import psycopg
import pytest
from sqlalchemy import event, select, update

from field_api.sync.pull import Asked, pull
from server.core.access import Caller, Grant, Role
from server.core.database import plain_url
from server.core.ids import new_id
from server.models.feed import Feed
from server.models.households import Caseload, Household
from server.sync_feed.publish import publish_change


@contextlib.contextmanager
def counted(services):
    statements: list[str] = []

    def note(_connection, _cursor, statement, *_):
        statements.append(statement)

    event.listen(services.engine.sync_engine, "before_cursor_execute", note)
    yield statements
    event.remove(services.engine.sync_engine, "before_cursor_execute", note)


async def give_everything(services, phone):
    """All 300 households of the county to one phone."""
    async with services.sessions.begin() as session:
        held = select(Caseload.household_id).where(Caseload.staff_id == phone.id)
        ids = list(await session.scalars(select(Household.id).where(Household.id.not_in(held))))
        session.add_all(Caseload(household_id=id_, staff_id=phone.id) for id_ in ids)
        await session.flush()
        await publish_change(session, "households", ids)


async def test_a_page_takes_as_many_queries_for_300_households_as_for_10(services, phone):
    await give_everything(services, phone)
    taken = []
    for limit in (10, 300):
        with counted(services) as statements:
            answer = await phone.http.get("/field/v1/sync/households/1/pull", params={"limit": limit})
        assert len(answer.json()["documents"]) == limit
        taken.append(len(statements))
    assert taken[0] == taken[1] <= 6


async def test_an_empty_page_has_a_tag_and_costs_nothing_when_it_is_still_empty(phone, services):
    first = (await phone.http.get("/field/v1/sync/households/1/pull", params={"limit": 1000})).json()
    params = {**first["checkpoint"], "limit": 1000}
    empty = await phone.http.get("/field/v1/sync/households/1/pull", params=params)
    assert (empty.json()["documents"], empty.json()["checkpoint"]) == ([], first["checkpoint"])
    again = await phone.http.get(
        "/field/v1/sync/households/1/pull", params=params, headers={"If-None-Match": empty.headers["ETag"]}
    )
    assert (again.status_code, again.content) == (304, b"")

    document = first["documents"][0]["id"]
    async with services.sessions.begin() as session:
        await publish_change(session, "households", [document])
    news = await phone.http.get(
        "/field/v1/sync/households/1/pull", params=params, headers={"If-None-Match": empty.headers["ETag"]}
    )
    assert [doc["id"] for doc in news.json()["documents"]] == [document]


@pytest.mark.parametrize("limit", [0, 1001])
async def test_a_page_longer_than_is_served_is_refused_for_a_short_one_would_end_the_pull(phone, limit):
    answer = await phone.http.get("/field/v1/sync/households/1/pull", params={"limit": limit})
    assert (answer.status_code, answer.json()["code"]) == (400, "sync.page_too_long")
    assert answer.json()["error"] == "sync.page_too_long"


async def test_a_checkpoint_of_another_database_starts_over(phone):
    whole = (await phone.http.get("/field/v1/sync/households/1/pull", params={"limit": 1000})).json()
    params = {"lwt": 2**52, "id": "0123456789abcdef:zzz", "limit": 1000}
    assert (await phone.http.get("/field/v1/sync/households/1/pull", params=params)).json() == whole


async def test_a_phone_that_holds_something_else_is_told_to_load_again(phone):
    whole = (await phone.http.get("/field/v1/sync/households/1/pull", params={"limit": 1000})).json()
    params = {**whole["checkpoint"], "limit": 1000, "digest": "0" * 64}
    answer = await phone.http.get("/field/v1/sync/households/1/pull", params=params)
    assert (answer.status_code, answer.json()["code"]) == (412, "sync.digest_mismatch")
    assert "households" in answer.json()["detail"]
    # One that is not up to date is not compared.
    behind = await phone.http.get("/field/v1/sync/households/1/pull", params={"limit": 1, "digest": "0" * 64})
    assert behind.status_code == 200
    nothing = await phone.http.get("/field/v1/sync/visits/1/pull", params={"digest": "0" * 64})
    assert nothing.status_code == 200


async def test_a_commit_at_any_moment_of_a_pull_is_no_mismatch_of_the_digest(services, phone):
    """Between any two statements of the pull another connection commits news of what the phone holds."""
    pull = "/field/v1/sync/households/1/pull"
    page = (await phone.http.get(pull, params={"limit": 1000})).json()
    digest = 0
    for document in page["documents"]:
        line = f"{document['id']}\n{document['server']['rev']}".encode()
        digest ^= int.from_bytes(hashlib.sha256(line).digest())
    params = {**page["checkpoint"], "limit": 1000, "digest": f"{digest:064x}"}
    with counted(services) as statements:
        assert (await phone.http.get(pull, params=params)).status_code == 200
    url = plain_url(services.settings.database_url)
    for moment in range(len(statements)):
        held = page["documents"][moment]["id"]
        with before_statement(services, moment, lambda held=held: send_again_elsewhere(url, held)):
            answer = await phone.http.get(pull, params=params)
        assert answer.status_code == 200, (moment, statements[moment])


@contextlib.contextmanager
def before_statement(services, number, act):
    numbers = itertools.count()

    def look(*_):
        if next(numbers) == number:
            act()

    event.listen(services.engine.sync_engine, "before_cursor_execute", look)
    yield
    event.remove(services.engine.sync_engine, "before_cursor_execute", look)


def send_again_elsewhere(url, household):
    change = "UPDATE feed SET xid = pg_current_xact_id() WHERE collection = 'households' AND doc_id = %s"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(change, [household])


class Puller:
    """A phone that only pulls, with its checkpoint, straight on the database."""

    def __init__(self, services, phone) -> None:
        self.services = services
        self.caller = Caller(id=phone.id, name="", device_id=new_id(), grants=(Grant(Role.CASEWORKER, ""),))
        self.at = (0, "")
        self.held: dict[str, str] = {}

    async def pull(self, limit: int) -> int:
        async with self.services.sessions.begin() as session:
            request = Asked(lwt=self.at[0], after_id=self.at[1], limit=limit)
            page = await pull(session, self.caller, "households", 1, request)
        self.at = (page.checkpoint.lwt, page.checkpoint.id)
        self.held |= {document["id"]: document["address"] for document in page.documents}
        return len(page.documents)

    async def pull_all(self) -> None:
        while await self.pull(7):
            pass


async def write(services, homes, address, pause_s=0.0, *, fails=False):
    async with services.sessions() as session:
        for home in sorted(homes):
            await session.execute(update(Household).where(Household.id == home).values(address=address))
        await publish_change(session, "households", homes)
        await asyncio.sleep(pause_s)
        await (session.rollback() if fails else session.commit())


async def homes_of(services, phone):
    async with services.sessions() as session:
        rows = select(Feed.doc_id).where(Feed.staff_id == phone.id, Feed.collection == "households")
        return sorted(await session.scalars(rows))


async def test_a_row_whose_transaction_began_first_and_commits_last_is_not_passed_over(services, phone):
    homes = await homes_of(services, phone)
    puller = Puller(services, phone)
    await puller.pull_all()
    async with services.sessions() as slow:
        await slow.execute(update(Household).where(Household.id == homes[0]).values(address="slow"))
        await publish_change(slow, "households", [homes[0]])
        await write(services, [homes[1]], "quick")
        assert await puller.pull(100) == 0
        await slow.commit()
    assert await puller.pull(100) == 2
    assert (puller.held[homes[0]], puller.held[homes[1]]) == ("slow", "quick")


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_the_order_of_commits_no_committed_row_is_skipped(services, phone, seed):
    """Writers that begin, wait, commit or fail in random order, and pullers that never stop in between."""
    chance = random.Random(seed)
    homes = await homes_of(services, phone)
    pullers = [Puller(services, phone) for _ in range(2)]
    writing = True

    async def keep_writing(name: str) -> None:
        for number in range(8):
            some = chance.sample(homes, chance.randint(1, 3))
            pause_s = chance.choice([0, 0, 0.01, 0.06])
            await write(services, some, f"{name}{number}", pause_s, fails=chance.random() < 0.2)

    async def keep_pulling(puller: Puller) -> None:
        while writing:
            await puller.pull(chance.randint(1, 4))
            await asyncio.sleep(chance.choice([0, 0.005]))

    pulling = [asyncio.create_task(keep_pulling(puller)) for puller in pullers]
    await asyncio.gather(*(keep_writing(name) for name in "abcd"))
    writing = False
    await asyncio.gather(*pulling)
    async with services.sessions() as session:
        rows = await session.execute(select(Household.id, Household.address).where(Household.id.in_(homes)))
        stored = {str(key): address for key, address in rows}
    for item in pullers:
        await item.pull_all()
        assert item.held == stored
