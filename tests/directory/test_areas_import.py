"""Statistical divisions come in from CSV files, versioned, with each bad line named."""

import pytest
from sqlalchemy import func, select

from server.directory.areas_import import AreasUnreadable, import_folder
from server.models.areas import Area
from tests.conftest import SHARED

HEAD = {
    "provinces": "code,name",
    "cities": "code,name,provinceCode",
    "areas": "code,name,cityCode,provinceCode",
    "streets": "code,name,areaCode,provinceCode,cityCode",
}


def write(folder, **files):
    for name, head in HEAD.items():
        (folder / f"{name}.csv").write_text("\n".join([head, *files.get(name, [])]) + "\n", encoding="utf-8")
    return folder


SMALL = {
    "provinces": ['33,"浙江省"'],
    "cities": ["3398,甲市,33"],
    "areas": ["339801,甲县,3398,33"],
    "streets": ["339801001,乙街道,339801,33,3398"],
}


async def test_areas_are_added_renamed_and_never_removed(services, settings, tmp_path):
    result = await import_folder(settings, write(tmp_path, **SMALL))
    assert (result.read, result.added, result.renamed, result.ended) == (4, 3, 0, 0)
    again = await import_folder(settings, write(tmp_path, **SMALL | {"areas": ["339801,甲区,3398,33"]}))
    assert (again.added, again.renamed) == (0, 1)
    async with services.sessions() as session:
        assert await session.scalar(select(Area.name).where(Area.code == "339801")) == "甲区"
        assert await session.scalar(select(func.count()).select_from(Area)) > 18


async def test_a_code_no_longer_listed_ends_and_the_invented_county_stays(services, settings, tmp_path, county):
    await import_folder(settings, write(tmp_path, **SMALL))
    result = await import_folder(settings, write(tmp_path, **SMALL | {"streets": []}))
    assert result.ended == 0, "a level that the files do not list at all is left alone"
    result = await import_folder(settings, write(tmp_path, **SMALL | {"streets": ["339801002,丙街道,339801,33,3398"]}))
    assert (result.added, result.ended) == (1, 1)
    async with services.sessions() as session:
        ended = list(await session.scalars(select(Area.code).where(Area.valid_until.is_not(None))))
    assert ended == ["339801001"]
    assert county.code not in ended


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (SMALL | {"areas": ["33980x,甲县,3398,33"]}, "areas.csv line 2"),
        (SMALL | {"areas": ["339801,,3398,33"]}, "areas.csv line 2"),
        (SMALL | {"streets": ["339877001,乙街道,339877,33,3398"]}, "no parent in the files, first 339877001"),
    ],
)
async def test_a_bad_line_is_named_and_nothing_is_written(services, settings, tmp_path, files, words):
    with pytest.raises(AreasUnreadable, match=words):
        await import_folder(settings, write(tmp_path, **files))
    async with services.sessions() as session:
        assert await session.scalar(select(Area).where(Area.code == "3398")) is None


async def test_all_real_divisions_are_read(services, settings):
    if not (SHARED / "divisions").exists():
        pytest.skip("needs ../shared/data/divisions")
    result = await import_folder(settings, SHARED / "divisions")
    assert result.read > 44_000
    async with services.sessions() as session:
        orphans = select(func.count()).select_from(Area).where(Area.parent_code.is_(None), func.length(Area.code) > 2)
        assert await session.scalar(orphans) == 0
