"""Pages of a list in a keyset order: each row once, also where the first key has ties, and cursors of clients."""

import base64
import json
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, select

from server.core.errors import Problem
from server.core.http import MAX_PAGE_SIZE
from server.core.paging import Keyset, encode_cursor, fetch_page
from server.models.audit import AuditEntry
from server.models.cases import CaseFile
from server.models.households import Household
from server.models.review import ReviewItem

BY_AREA = {descending: Keyset(Household.area_code, Household.id, descending=descending) for descending in (False, True)}


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("limit", [7, MAX_PAGE_SIZE])
async def test_pages_hold_each_row_once_in_the_order_of_the_keys(services, descending, limit):
    order = BY_AREA[descending]
    async with services.sessions() as session:
        expected = (await session.scalars(select(Household.number).order_by(*order.sort()))).all()
        areas = (await session.scalars(select(Household.area_code))).all()
        numbers, cursor, sizes = [], None, []
        while True:
            rows, cursor = await fetch_page(session, select(Household.number), order, cursor, limit)
            numbers += [number for (number,) in rows]
            sizes.append(len(rows))
            if cursor is None:
                break
    assert len(set(areas)) < len(areas)  # there are ties in the first key
    assert numbers == list(expected)
    assert set(sizes[:-1]) == {limit}


async def test_a_page_takes_one_query_and_no_more_rows_than_the_list_allows(services):
    queries = []
    event.listen(services.engine.sync_engine, "before_cursor_execute", lambda *request: queries.append(request[2]))
    async with services.sessions() as session:
        rows, cursor = await fetch_page(session, select(Household), BY_AREA[False], None, 5)
    assert [query.split()[0] for query in queries] == ["SELECT"]
    assert len(rows) == 5
    assert cursor is not None
    assert isinstance(rows[0][0], Household)


def test_cursors_have_the_form_that_clients_hold():
    case_id, at = uuid4(), datetime(2026, 3, 4, 5, 6, 7, 8, tzinfo=UTC)
    for order, parts, values in (
        (Keyset(CaseFile.applied_on, CaseFile.id), ["2026-03-04", str(case_id)], (date(2026, 3, 4), case_id)),
        (Keyset(ReviewItem.waits_since, ReviewItem.visit_id), [at.isoformat(), str(case_id)], (at, case_id)),
        (Keyset(AuditEntry.id), ["17"], (17,)),
        (Keyset(Household.number), ["H-1"], ("H-1",)),
    ):
        held = base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode().rstrip("=")
        assert order.read_cursor(held) == values
        assert encode_cursor(values) == held
    assert Keyset(AuditEntry.id).read_cursor(None) is None


@pytest.mark.parametrize(
    "cursor", ["", "x", "!!", encode_cursor(["1"]), encode_cursor([date(2026, 3, 4)]), encode_cursor([1, UUID(int=1)])]
)
def test_a_cursor_of_another_list_is_refused(cursor):
    with pytest.raises(Problem, match=r"request\.invalid"):
        Keyset(CaseFile.applied_on, CaseFile.id).read_cursor(cursor)
