"""Raising the standard of a county of 24,000 homes: its preview, its decisions, the undoing, by the jobs' own code."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import psycopg
from sqlalchemy import text

from bench.rows import Row
from server.benefits.changes import month_after
from server.cases.raise_changes import apply_raise, undo_applied_raise
from server.cases.raise_preview import preview_raise
from server.cases.standard_raises import (
    DecideRaise,
    ProposeRaise,
    UndoRaiseBody,
    decide_raise,
    propose_raise,
    undo_raise,
)
from server.cli.migrate import upgrade
from server.core.access import Caller, Grant, Role
from server.core.clock import utc_now
from server.core.database import Sessions, create_engine, open_pool, open_session, plain_url, session_maker
from server.core.ids import new_id
from server.core.job_types import ApplyRaise, PreviewRaise, UndoRaise
from server.core.services import Services
from server.core.working_days import day_of
from server.devserver.embedded import EmbeddedPostgres

COUNTY = "339901"
HOMES, VILLAGES, PEOPLE = 24_000, 400, 3
STANDARD_FEN, RAISED_FEN = 700_00, 760_00
TARGET_S = 60
# Every home has a wage of so many times 300 yuan a month, so that its amount is whole yuan by any rounding.
FILL = f"""
INSERT INTO area (code, name, parent_code) VALUES ('33', '省', NULL), ('3399', '市', '33'), ('{COUNTY}', '县', '3399');
INSERT INTO area (code, name, parent_code)
  SELECT '{COUNTY}' || to_char(100 + town, 'FM000'), '第' || town || '镇', '{COUNTY}' FROM generate_series(1, 20) town;
INSERT INTO area (code, name, parent_code)
  SELECT '{COUNTY}' || to_char(101 + n % 20, 'FM000') || to_char(200 + n, 'FM000'), '溪' || n || '村',
    '{COUNTY}' || to_char(101 + n % 20, 'FM000') FROM generate_series(0, {VILLAGES - 1}) n;
INSERT INTO area_rule (id, key, area_code, effective_from, value, source)
  VALUES (uuidv7(), 'amount.standard_fen', '{COUNTY}', '2020-01-02', '{STANDARD_FEN}', '县政府文件');
INSERT INTO household (id, number, area_code, head_name, address, datum, relative_on_staff, class, monthly_amount_fen)
  SELECT uuidv7(), 'TB-' || to_char(n, 'FM000000'),
    '{COUNTY}' || to_char(101 + n % {VILLAGES} % 20, 'FM000') || to_char(200 + n % {VILLAGES}, 'FM000'),
    '溪' || n, '溪村' || n || '号', 'wgs84', false, 'B', {PEOPLE * STANDARD_FEN} - (n % 5) * 30000
  FROM generate_series(1, {HOMES}) n;
INSERT INTO household_member (id, household_id, position, name, relation, sex, born_on)
  SELECT uuidv7(), household.id, position, '成员' || position, '成员', 'male', '1980-01-01'
  FROM household JOIN generate_series(0, {PEOPLE - 1}) position ON true;
INSERT INTO income_item (id, household_id, kind, category, period, declared_fen, verified_fen)
  SELECT uuidv7(), id, 'property', '', 'month', {PEOPLE * STANDARD_FEN} - monthly_amount_fen,
    {PEOPLE * STANDARD_FEN} - monthly_amount_fen FROM household;
INSERT INTO case_file (id, number, household_id, area_code, state, applied_on, rules_on, updated_at, programme,
    amount_fen, decided_on, paid_from)
  SELECT uuidv7(), 'DB-' || number, id, area_code, 'in_force', '2024-01-05', '2024-01-05', now(), 'rural',
    monthly_amount_fen, '2024-02-05', '2024-03-01' FROM household;
"""  # noqa: S608  our own constants


def measure(seconds: float) -> Iterator[Row]:
    del seconds  # measures one raise
    folder = Path(tempfile.mkdtemp(prefix="zoufang-bench-"))
    folder.chmod(0o755)
    try:
        with EmbeddedPostgres(folder / "postgres") as postgres:
            url = postgres.create_database("bench")
            upgrade(url)
            with psycopg.connect(plain_url(url), autocommit=True) as connection:
                for statement in FILL.split(";\n")[:-1]:
                    connection.execute(statement)
                connection.execute("VACUUM ANALYZE")
            yield from asyncio.run(_measure(url))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _measure(url: str) -> list[Row]:
    async with open_pool(url, size=3) as pool:
        sessions = session_maker(create_engine(url, pool))
        # The jobs of a raise use nothing else.
        services = cast("Services", SimpleNamespace(sessions=sessions))
        first, second = [await _hire(sessions, name) for name in ("甲", "乙")]
        raise_id = new_id()
        month = month_after(day_of(utc_now()))
        body = ProposeRaise(
            id=raise_id, area_code=COUNTY, month=month, document="县民发〔测试〕8号", rural_fen=RAISED_FEN
        )
        await _step(sessions, lambda session: propose_raise(session, first, body, utc_now()))
        previewed = await _timed(preview_raise(services, PreviewRaise(raise_id=raise_id)))
        await _step(
            sessions,
            lambda session: decide_raise(session, second, raise_id, DecideRaise(outcome="confirmed"), utc_now()),
        )
        applied = await _timed(apply_raise(services, ApplyRaise(raise_id=raise_id)))
        paid_more = await _count(sessions, raise_id, "applied")
        undo = UndoRaiseBody(reason="测量")
        await _step(sessions, lambda session: undo_raise(session, first, raise_id, undo, utc_now()))
        await _step(sessions, lambda session: undo_raise(session, second, raise_id, undo, utc_now()))
        undone = await _timed(undo_applied_raise(services, UndoRaise(raise_id=raise_id)))
        taken_back = await _count(sessions, raise_id, "undone")
    return [
        Row(f"preview of a raise over {HOMES:,} homes", f"{previewed:.0f} s"),
        Row(f"decisions of the raise for {paid_more:,} homes", f"{applied:.0f} s"),
        Row("preview and decisions together", f"{previewed + applied:.0f} s", target=f"{TARGET_S} s"),
        Row(f"the raise undone for {taken_back:,} homes", f"{undone:.0f} s"),
    ]


async def _hire(sessions: Sessions, name: str) -> Caller:
    officer = Caller(id=new_id(), name=name, device_id=new_id(), grants=(Grant(Role.COUNTY_OFFICER, COUNTY),))
    async with open_session(sessions) as session:
        await session.execute(
            text("INSERT INTO staff (id, login, name) VALUES (:id, :login, :name)").bindparams(
                id=officer.id, login=name, name=name
            )
        )
    return officer


async def _step(sessions: Sessions, take: Callable[[Any], Awaitable[Any]]) -> None:
    async with open_session(sessions) as session:
        await take(session)


async def _timed(work: Awaitable[None]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def _count(sessions: Sessions, raise_id: UUID, outcome: str) -> int:
    query = "SELECT count(*) FROM standard_raise_line WHERE raise_id = :raise_id AND outcome = :outcome"
    async with open_session(sessions) as session:
        return int(await session.scalar(text(query).bindparams(raise_id=raise_id, outcome=outcome)) or 0)
