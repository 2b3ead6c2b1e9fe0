"""One rule for every list: a page of 1 to 200 rows, a cursor of this list, a filter that exists. All else is refused."""

import json
import re

import pytest

from server.core.paths import OPENAPI
from tests import days

PATHS = json.loads(OPENAPI.read_text())["paths"]
LISTS = {
    path: {parameter["name"]: parameter for parameter in item["get"].get("parameters", ())}
    for path, item in PATHS.items()
    if path.startswith("/desk/v1/") and "get" in item and "{" not in path
}
PAGED = [path for path, parameters in LISTS.items() if "limit" in parameters]
WITH_CURSOR = [path for path, parameters in LISTS.items() if "cursor" in parameters]


# Of parameters that a list can't do without.
GIVEN = {"month": days.month().isoformat(), "level": "village", "by": "area"}


def _choices(parameter) -> list[str] | None:
    schema = parameter["schema"]
    for choice in schema.get("oneOf", schema.get("anyOf", [schema])):
        if "enum" in choice:
            return choice["enum"]
    return None


def test_every_page_says_how_many_rows_it_takes():
    assert len(PAGED) > 25
    for path in PAGED:
        schema = LISTS[path]["limit"]["schema"]
        assert (schema["minimum"], schema["maximum"]) == (1, 200), path


def test_a_filter_by_state_or_kind_says_its_values():
    free = {
        (path, name)
        for path, parameters in LISTS.items()
        for name, parameter in parameters.items()
        if re.fullmatch(r"state|kind|verdict|urgency|stance", name)
        and _choices(parameter) is None
        and not path.startswith("/desk/v1/aid-")  # the kinds of aid are an area's data
    }
    assert free == set()


async def test_a_page_of_no_rows_or_of_too_many_is_refused_with_the_range(office):
    for path in PAGED:
        for limit in (-1, 0, 201, 10**12):
            (fault,) = await refused(office, path, limit=limit)
            assert fault["pointer"] == "/limit"
            assert fault["detail"] == ("不能大于 200" if limit > 0 else "不能小于 1"), path


async def test_an_empty_or_foreign_cursor_is_refused(office):
    for path in WITH_CURSOR:
        if (await office.http.get(path)).status_code == 403:  # a list of another duty
            continue
        for cursor in ("", "x", "WyIxIiwiMiIsIjMiLCI0IiwiNSIsIjYiLCI3Il0"):
            (fault,) = await refused(office, path, cursor=cursor)
            assert fault["code"] == "cursor.invalid"


async def test_a_filter_that_does_not_exist_is_refused_and_not_an_empty_list(office):
    for path, parameters in LISTS.items():
        for name in (name for name, parameter in parameters.items() if _choices(parameter) is not None):
            (fault,) = await refused(office, path, **{name: "nonsense"})
            assert (fault["pointer"], fault["detail"]) == (f"/{name}", "“nonsense”不在可选的范围内")


async def test_a_parameter_that_is_missing_is_named(office):
    (fault,) = await refused(office, "/desk/v1/change-returns", month=None)
    assert (fault["pointer"], fault["detail"]) == ("/month", "没有填写")


async def refused(office, path, **request):
    needed = {name for name, parameter in LISTS[path].items() if parameter.get("required")}
    given = {name: GIVEN[name] for name in needed} | request
    answer = await office.http.get(path, params={name: value for name, value in given.items() if value is not None})
    assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid"), (path, request, answer.text)
    assert "errors" in answer.json(), (path, request, answer.text)
    return answer.json()["errors"]


@pytest.fixture
async def office(system, county):
    login = next(member.login for member in county.staff if member.role == "county_officer")
    return await system.sign_in_at_desk(login, "county_officer")
