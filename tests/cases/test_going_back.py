"""Going back to an earlier version: done where nothing is lost, refused in one sentence where something would be."""

import os

import pytest
from alembic import command
from sqlalchemy import create_engine, text

from server.cli.migrate import alembic_config, upgrade
from server.core.database import async_url

CASE = "(SELECT id FROM case_file ORDER BY number LIMIT 1)"
HOUSEHOLD = "(SELECT household_id FROM case_file ORDER BY number LIMIT 1)"
LOST = {
    "0004": f"INSERT INTO calculation (id, case_id, household_id, month, made_at, amount_fen, eligible, body)"
    f" VALUES (gen_random_uuid(), {CASE}, {HOUSEHOLD}, '2025-12-01', now(), 1, true, '{{}}')",
    "0007": "INSERT INTO resident (id) VALUES (gen_random_uuid());"
    "INSERT INTO paper_photo (id, case_id, code, resident_id, sha256, size_bytes, state, announced_at)"
    f" SELECT gen_random_uuid(), {CASE}, 'id_cards', id, repeat('a', 64), 1, 'announced', now() FROM resident LIMIT 1",
    "0011": f"UPDATE case_file SET state = 'stopped' WHERE id = {CASE}",
    "0013": "INSERT INTO complaint (id, number, code_hash, kind, channel, area_code, is_named, text_sealed, state,"
    " received_at, due_on, is_extended, against) VALUES (gen_random_uuid(), 'XF1', '', 'complaint', 'web', '339901',"
    " false, '', 'received', now(), '2025-12-01', false, '[\"x\"]')",
    "0073": "WITH made AS (INSERT INTO resident (id) VALUES (gen_random_uuid()) RETURNING id)"
    " INSERT INTO identity (id, resident_id, provider, app, subject)"
    " SELECT gen_random_uuid(), id, 'member', '', 'x' FROM made",
    "0015": "INSERT INTO property_item (id, household_id, kind, note, declared)"
    f" VALUES (gen_random_uuid(), {HOUSEHOLD}, 'home', '', 1)",
    "0082": "SET LOCAL session_replication_role = replica;"
    "INSERT INTO withdrawal_proposal (visit_id, act, proposed_by, proposed_at, reason)"
    " VALUES (gen_random_uuid(), 'void', gen_random_uuid(), now(), 'x')",
    "0085": "SET LOCAL session_replication_role = replica;"
    "INSERT INTO deputyship (id, staff_id, deputy_id, starts_on, ends_on, duties, with_homes, named_by, named_at)"
    " VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), '2025-12-01', '2025-12-02', '[]', true,"
    " gen_random_uuid(), now())",
    "0086": "SET LOCAL session_replication_role = replica;"
    "INSERT INTO message_stop (id, staff_id, kind, stopped_at)"
    " VALUES (gen_random_uuid(), gen_random_uuid(), 'payday', now())",
}


@pytest.fixture
def url(postgres, template):
    name = f"back_{os.urandom(4).hex()}"
    yield postgres.create_database(name, template=template)
    postgres.drop_database(name)


def run(url, statements):
    engine = create_engine(async_url(url))
    with engine.begin() as connection:
        for part in statements.split(";"):
            connection.execute(text(part))
    engine.dispose()


@pytest.mark.parametrize("version", sorted(LOST))
def test_a_version_that_holds_what_the_one_before_can_not_is_kept(url, version):
    run(url, LOST[version])
    with pytest.raises(RuntimeError, match=r"would (lose|be lost)|keep this version"):
        command.downgrade(alembic_config(url), version)


def test_where_nothing_is_lost_one_goes_back_and_forth(url):
    command.downgrade(alembic_config(url), "0007")
    upgrade(url)
    command.check(alembic_config(url))
