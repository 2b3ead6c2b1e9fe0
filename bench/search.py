"""Searching households at the desk among a million people of one county, beside a look-up by the unique archive number.

Names are drawn from a pool as large as that of a county, so that a search meets as many namesakes as in life. Every
search is the desk's own: a page of 50 lines with members and holders.
"""

import asyncio
import random
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import date
from pathlib import Path

import psycopg
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bench.rows import Row
from server.cli.migrate import upgrade
from server.core import keys
from server.core.access import Caller, Grant, Role
from server.core.clock import utc_now
from server.core.database import create_engine, open_pool, open_reading_session, plain_url, session_maker
from server.core.encryption import Encryption
from server.core.id_numbers import make_id_number
from server.core.ids import new_id
from server.core.search_terms import list_address_terms, list_name_terms, spell, spell_for_search, to_vector
from server.core.services import build_encryption
from server.core.settings import load_settings
from server.devserver.embedded import EmbeddedPostgres
from server.directory.households import list_households
from server.models.households import Household

COUNTY = "339901"
HOUSEHOLDS, PEOPLE_EACH = 333_334, 3
NAMES, ADDRESSES, VILLAGES = 60_000, 20_000, 400
LOOK_UPS = 60
SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾萧田董袁潘蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭"
    "陆汪范金石廖贾夏韦傅方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰建国红梅春生志文金凤海燕永林小龙云福荣德贵新兴"
    "发根火木水土山河溪田禾稻桑竹松柏柳杏桃李莲菊"
)
FILL = f"""
INSERT INTO area (code, name, parent_code) VALUES ('33', '省', NULL), ('3399', '市', '33'), ('{COUNTY}', '县', '3399');
INSERT INTO area (code, name, parent_code)
  SELECT '{COUNTY}' || to_char(100 + town, 'FM000'), '第' || town || '镇', '{COUNTY}' FROM generate_series(1, 20) town;
INSERT INTO area (code, name, parent_code)
  SELECT '{COUNTY}' || to_char(101 + n % 20, 'FM000') || to_char(200 + n, 'FM000'), '溪' || n || '村',
    '{COUNTY}' || to_char(101 + n % 20, 'FM000') FROM generate_series(0, {VILLAGES - 1}) n;
INSERT INTO household (id, number, area_code, head_name, address, datum, relative_on_staff, search_terms)
  SELECT uuidv7(), number,
    '{COUNTY}' || to_char(101 + n % {VILLAGES} % 20, 'FM000') || to_char(200 + n % {VILLAGES}, 'FM000'),
    pool_name.name, pool_address.address, 'wgs84', false,
    pool_address.terms || array_to_tsvector(ARRAY(SELECT substr(bare, k) FROM generate_series(1, length(bare)) k))
  FROM (SELECT n, 'YQ-' || to_char(n, 'FM000000') AS number, 'yq' || to_char(n, 'FM000000') AS bare
        FROM generate_series(1, {HOUSEHOLDS}::bigint) n) AS numbered
  JOIN pool_name ON pool_name.id = (n * 7919) % {NAMES}
  JOIN pool_address ON pool_address.id = (n * 104729) % {ADDRESSES};
INSERT INTO household_member (id, household_id, position, name, relation, sex, born_on, pinyin, search_terms)
  SELECT uuidv7(), numbered.id, position, pool_name.name, '成员', 'male', '1970-01-01', pinyin, terms
  FROM (SELECT id, row_number() OVER () AS n FROM household) AS numbered
  JOIN generate_series(0, {PEOPLE_EACH - 1}) position ON true
  JOIN pool_name ON pool_name.id = (n * 7919 + position::bigint * 15485863) % {NAMES};
"""  # noqa: S608  our own constants


def measure(seconds: float) -> Iterator[Row]:
    del seconds  # measures a number of searches
    folder = Path(tempfile.mkdtemp(prefix="zoufang-bench-"))
    folder.chmod(0o755)
    try:
        with EmbeddedPostgres(folder / "postgres") as postgres:
            url = postgres.create_database("bench")
            upgrade(url)
            pool = _draw_names()
            yield Row(f"{HOUSEHOLDS * PEOPLE_EACH:,} people filled in", f"{_fill(plain_url(url), pool):.0f} s")
            yield from asyncio.run(_measure(url, pool))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _draw_names() -> list[str]:
    draw = random.Random(1)
    return [draw.choice(SURNAMES) + "".join(draw.choices(GIVEN, k=draw.choice((1, 2, 2)))) for _ in range(NAMES)]


def _fill(address: str, names: list[str]) -> float:
    began = time.perf_counter()
    draw = random.Random(2)
    addresses = [
        f"溪{draw.randrange(VILLAGES)}村{draw.randrange(1, 20)}组{draw.randrange(1, 200)}号" for _ in range(ADDRESSES)
    ]
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("CREATE TEMPORARY TABLE pool_name (id integer, name text, pinyin text, terms tsvector)")
        connection.execute("CREATE TEMPORARY TABLE pool_address (id integer, address text, terms tsvector)")
        with connection.cursor() as cursor:
            with cursor.copy("COPY pool_name FROM STDIN") as copy:
                for number, name in enumerate(names):
                    copy.write_row((number, name, spell_for_search(name), to_vector(list_name_terms(name))))
            with cursor.copy("COPY pool_address FROM STDIN") as copy:
                for number, text in enumerate(addresses):
                    copy.write_row((number, text, to_vector(list_address_terms(text))))
        for statement in FILL.split(";\n")[:-1]:
            connection.execute(statement)
        connection.execute("VACUUM ANALYZE household, household_member, area")
    return time.perf_counter() - began


async def _measure(url: str, names: list[str]) -> list[Row]:
    store = {f"ZOUFANG_S3_{name}": "none" for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY")}
    encryption = build_encryption(load_settings({**keys.generate_keys(), "ZOUFANG_DATABASE_URL": url, **store}))
    officer = Caller(id=new_id(), name="", device_id=new_id(), grants=(Grant(Role.COUNTY_OFFICER, COUNTY),))
    draw = random.Random(3)
    usual = [spell(name)[0] for name in names]
    searches: dict[str, Callable[[], str]] = {
        "a whole name": lambda: draw.choice(names),
        "a surname": lambda: draw.choice(SURNAMES),
        "pinyin": lambda: "".join(draw.choice(usual)),
        "three initials": lambda: "".join(syllable[0] for syllable in draw.choice(usual)),
        "a village and a name": lambda: f"溪{draw.randrange(VILLAGES)}村 {draw.choice(names)}",
        "a part of an address": lambda: f"{draw.randrange(1, 20)}组{draw.randrange(1, 200)}号",
        "the last digits of a number": lambda: f"{draw.randrange(10_000):04}",
        "an identity number": lambda: make_id_number(COUNTY, date(1970, 1, 1), draw.randrange(1, 1000)),
    }
    async with open_pool(url, size=2) as pool, open_reading_session(session_maker(create_engine(url, pool))) as session:
        floor = await _p95_ms(lambda: _look_up(session, draw.randrange(1, HOUSEHOLDS)))
        rows = [Row("p95 of a look-up by the unique archive number, as the floor", f"{floor:.1f} ms")]
        for name, make in searches.items():
            measured = await _p95_ms(lambda make=make: _search(session, encryption, officer, make()))  # type: ignore[misc]
            rows.append(
                Row(
                    f"p95 of a search by {name}",
                    f"{measured:.0f} ms",
                    f"{floor:.1f} ms",
                    f"{measured / floor:.0f}",
                    "100 ms",
                )
            )
    return rows


async def _look_up(session: AsyncSession, number: int) -> None:
    await session.execute(select(Household.id).where(Household.number == f"YQ-{number:06}"))


async def _search(session: AsyncSession, encryption: Encryption, officer: Caller, text: str) -> None:
    await list_households(
        session, encryption, officer, area=None, class_=None, q=text, cursor=None, limit=50, now=utc_now()
    )


async def _p95_ms(act: Callable[[], Awaitable[None]]) -> float:
    taken = []
    for _ in range(LOOK_UPS):
        began = time.perf_counter()
        await act()
        taken.append(1000 * (time.perf_counter() - began))
    return sorted(taken)[int(0.95 * len(taken))]
