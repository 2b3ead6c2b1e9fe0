"""Checklists come from Excel, are published once, and reach every phone in the field."""

import asyncio

import msgspec
import pytest
from click.testing import CliRunner
from openpyxl import load_workbook

from server.__main__ import main
from server.checklists.publishing import ChecklistRefused, export_checklist, publish
from server.checklists.shipped import load_shipped
from server.core.database import open_session
from tests.conftest import environment

CARE = next(item for item in load_shipped() if item.kind == "care")


def newer(template, **changes):
    return msgspec.structs.replace(template, version=template.version + 1, **changes)


async def test_a_new_version_reaches_the_phone_and_the_old_one_stays(services, phone):
    async with open_session(services.sessions) as session:
        assert (await publish(session, newer(CARE))).is_new
    held = {(item["code"], item["version"]) for item in (await phone.pull("checklists")).values()}
    assert {(CARE.code, CARE.version), (CARE.code, CARE.version + 1)} <= held


async def test_the_same_version_again_is_the_same_and_other_content_is_refused(services):
    async with open_session(services.sessions) as session:
        assert not (await publish(session, CARE)).is_new
        with pytest.raises(ChecklistRefused, match="raise the version"):
            await publish(session, msgspec.structs.replace(CARE, sections=CARE.sections[:1]))


async def test_a_faulty_template_is_refused_with_each_place(services):
    twice = newer(CARE, sections=(*CARE.sections, CARE.sections[0]))
    async with open_session(services.sessions) as session:
        with pytest.raises(ChecklistRefused, match="/sections/"):
            await publish(session, twice)


def test_an_office_exports_changes_and_imports_a_workbook(settings, tmp_path):
    file = tmp_path / "care.xlsx"
    file.write_bytes(asyncio.run(export_checklist(settings, CARE.code, None)))
    runner = CliRunner(env=environment(settings))
    same = runner.invoke(main, ["import-checklist", str(file)], catch_exceptions=False)
    assert "published already" in same.output
    book = load_workbook(file)
    for sheet in book:
        for row in sheet.iter_rows():
            for cell in row:
                if cell.value == "单选":
                    cell.value = "单远"
    book.save(file)
    refused = runner.invoke(main, ["import-checklist", str(file)])
    assert refused.exit_code == 1, refused.output
    assert "nothing was published" in refused.output
