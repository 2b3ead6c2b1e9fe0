"""Sealed values: bound to table, column and row, and what becomes of those from before."""

import os

import msgspec
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import LargeBinary, select, text, update

from server.__main__ import main
from server.cli.reseal import reseal
from server.core.database import open_session
from server.core.encryption import BOUND, Encryption
from server.core.errors import Problem
from server.core.ids import new_id
from server.core.keys import KeyRing, generate_keys
from server.core.services import build_encryption
from server.models import Base
from server.models.cases import BankAccount
from server.models.households import Household, HouseholdMember
from server.models.sealed_columns import join_key, sealed_columns
from tests.conftest import environment

RING = KeyRing("p1", {"p1": b"k" * 32})
HERE, ELSEWHERE = new_id(), new_id()


def seal_as_before(ring, column, plain):
    """A value as it was sealed when its row was not part of it."""
    nonce = os.urandom(12)
    return (
        ring.current.encode()
        + b":"
        + nonce
        + AESGCM(ring.keys[ring.current]).encrypt(nonce, plain.encode(), column.encode())
    )


def refused(encryption, column, row_id, sealed):
    with pytest.raises(Problem) as raised:
        encryption.open(column, row_id, sealed)
    assert raised.value.code == "server.value_altered"


def test_a_value_opens_in_its_own_row_and_column_alone():
    encryption = Encryption(RING, b"i" * 32)
    sealed = encryption.seal("bank_account.card", HERE, "6222")
    assert encryption.open("bank_account.card", HERE, sealed) == "6222"
    refused(encryption, "bank_account.card", ELSEWHERE, sealed)
    refused(encryption, "household.phone", HERE, sealed)
    refused(encryption, "bank_account.card", HERE, sealed.removeprefix(BOUND))
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        refused(encryption, "bank_account.card", HERE, bytes(changed))
    for length in range(len(sealed)):
        refused(encryption, "bank_account.card", HERE, sealed[:length])


def test_a_value_from_before_rows_were_bound_is_read_only_while_that_is_set():
    sealed = seal_as_before(RING, "bank_account.card", "6222")
    refused(Encryption(RING, b"i" * 32), "bank_account.card", HERE, sealed)
    reading = Encryption(RING, b"i" * 32, reads_unbound=True)
    assert reading.open("bank_account.card", HERE, sealed) == "6222"
    refused(reading, "household.phone", HERE, sealed)


def test_every_sealed_column_is_binary_and_every_other_binary_column_is_known():
    names = [sealed.name for sealed in sealed_columns()]
    assert {"bank_account.card", "household.phone", "household_member.id_number", "complaint.text"} <= set(names)
    assert all(isinstance(sealed.column.type, LargeBinary) for sealed in sealed_columns())
    binary = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary) and not column.name.endswith("_sealed")
    }
    # Hashes, indexes, features of photos and documents: a new binary column is one of these or is named `_sealed`.
    others = {
        "case_file.look_up_pin",
        "feed.body",
        "household_merge.digest",
        "kept_row.body",
        "photo.look",
        "photo.inside_look",
    }
    assert {name for name in binary - others if not name.endswith(("_hash", "_index"))} == set()


async def give_cards(services, cards):
    """Give the first households a card each; return their ids."""
    async with open_session(services.sessions) as session:
        ids = list(await session.scalars(select(Household.id).order_by(Household.number).limit(len(cards))))
        for household_id, card in zip(ids, cards, strict=True):
            sealed = services.encryption.seal("bank_account.card", household_id, card)
            session.add(
                BankAccount(
                    household_id=household_id, holder_name="持卡人", bank_name="某行", card_sealed=sealed, card_mask="*"
                )
            )
    return ids


async def test_two_households_cards_swapped_in_the_database_are_refused_at_the_desk(services, county_desk):
    first, second = await give_cards(services, ["6222020000000001", "6222020000000002"])
    request = {"what": "card", "reason": "核对发放账户"}
    url = f"/desk/v1/households/{first}/reveal"
    assert (await county_desk.http.post(url, json=request)).json()["value"] == "6222020000000001"
    async with services.sessions() as session:
        await session.execute(
            text(
                "UPDATE bank_account SET card_sealed = other.card_sealed FROM bank_account AS other"
                " WHERE bank_account.household_id <> other.household_id"
                " AND bank_account.household_id IN (:first, :second) AND other.household_id IN (:first, :second)"
            ),
            {"first": first, "second": second},
        )
        await session.commit()
    answer = await county_desk.http.post(url, json=request)
    assert (answer.status_code, answer.json()["code"]) == (500, "server.value_altered")
    # The same with the whole row: the household is its key.
    async with services.sessions() as session:
        await session.execute(text("DELETE FROM bank_account WHERE household_id = :id"), {"id": first})
        await session.execute(
            text("UPDATE bank_account SET household_id = :first WHERE household_id = :second"),
            {"first": first, "second": second},
        )
        await session.commit()


async def unbind_everything(services, settings):
    """Put the values of this database back to how they were sealed before rows were part of them."""
    encryption = build_encryption(settings)
    async with open_session(services.sessions) as session:
        for sealed in sealed_columns():
            rows = await session.execute(select(*sealed.keys, sealed.column).where(sealed.column.is_not(None)))
            for *key, value in rows.all():
                row_id = join_key(key)
                before = seal_as_before(encryption._ring, sealed.name, encryption.open(sealed.name, row_id, value))
                await session.execute(
                    update(sealed.table).where(sealed.matches(key)).values({sealed.column.name: before})
                )


async def open_all_numbers(services, settings):
    encryption = build_encryption(settings)
    async with services.sessions() as session:
        rows = (await session.execute(select(HouseholdMember.id, HouseholdMember.id_number_sealed))).all()
    return {row_id: encryption.open("household_member.id_number", row_id, value) for row_id, value in rows if value}


async def test_values_from_before_are_bound_by_reseal_and_refused_where_it_has_not_run(services, settings):
    """In batches, again without any change, and with the newest key."""
    before = await open_all_numbers(services, settings)
    assert len(before) > 50
    await unbind_everything(services, settings)
    with pytest.raises(Problem):
        await open_all_numbers(services, settings)
    assert await open_all_numbers(services, msgspec.structs.replace(settings, unbound_values="read")) == before
    steps = []
    report = await reseal(settings, steps.append)
    assert (report.resealed, report.refused) == (sum(steps), [])
    assert report.resealed >= len(before)
    assert await open_all_numbers(services, settings) == before
    assert (await reseal(settings, steps.append)).resealed == 0

    fresh = "p2:" + generate_keys()["ZOUFANG_PII_KEYS"].removeprefix("p1:")
    rotated = msgspec.structs.replace(settings, pii_keys=f"{fresh},{settings.pii_keys}")
    assert (await reseal(rotated, steps.append)).resealed == report.resealed
    assert await open_all_numbers(services, msgspec.structs.replace(settings, pii_keys=fresh)) == before


async def test_reseal_names_what_was_altered_and_binds_the_rest(services, settings, monkeypatch):
    monkeypatch.setattr("server.cli.reseal.BATCH", 7)
    await unbind_everything(services, settings)
    async with open_session(services.sessions) as session:
        member = await session.scalar(select(HouseholdMember.id).order_by(HouseholdMember.id).limit(1))
        await session.execute(
            text("UPDATE household_member SET id_number_sealed = 'p1:' || '\\x00'::bytea WHERE id = :id"),
            {"id": member},
        )
    report = await reseal(settings, lambda _: None)
    assert report.refused == [("household_member.id_number", str(member))]
    assert (await reseal(settings, lambda _: None)).resealed == 0


def test_the_command_says_when_there_is_nothing_to_bind(settings):
    result = CliRunner().invoke(main, ["reseal"], env=environment(settings))
    assert (result.exit_code, result.output.strip()) == (0, "Every value is bound.")


async def test_phone_numbers_from_before_they_were_indexed_are_found_after_reseal(services, settings, monkeypatch):
    monkeypatch.setattr("server.cli.reseal.BATCH", 50)
    async with open_session(services.sessions) as session:
        before = dict((await session.execute(select(Household.id, Household.phone_index))).all())
        await session.execute(update(Household).values(phone_index=None))
    assert len(set(before.values())) > 50
    await reseal(settings, lambda _: None)
    async with open_session(services.sessions) as session:
        assert dict((await session.execute(select(Household.id, Household.phone_index))).all()) == before
