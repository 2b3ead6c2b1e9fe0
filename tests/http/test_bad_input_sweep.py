"""No request, however wrong, is answered by 500, and every refusal carries a code that the catalogue knows."""

import json
from inspect import get_annotations
from typing import Any, get_args

import httpx
import pytest
from litestar.params import ParameterKwarg
from msgspec import Meta
from sqlalchemy import select

from field_api.sync.collections import COLLECTIONS
from server.core.database import open_session
from server.core.errors import CATALOGUE
from server.core.paths import OPENAPI
from server.demo.cases import load_cases
from server.models.benefits import ChangeReport
from server.models.cases import CaseFile
from server.models.complaints import Complaint
from server.models.crosschecks import CrossCheck, CrossCheckBatch
from server.models.hearings import Hearing
from server.models.households import HouseholdMember
from server.models.people import Device, Staff
from server.models.postings import Disclosure, Objection, Posting, PostingPlace
from tests.makers.cases import TOWN, VILLAGE, Office
from tests.phones import Desk
from tests.sweep import Attack, KnownIds, attacks

# A stream has no end; signing out ends the one who asks.
NOT_ASKED = {
    "/desk/v1/queue/stream",
    "/auth/v1/sign-out",
    "/field/v1/sync/stream",
    *(f"/field/v1/sync/{name}/{{schema_version}}/pullStream" for name in COLLECTIONS),
}

# A parameter's name with the column that holds such an id.
COLUMNS = {
    "complaint_id": Complaint.id,
    "posting_id": Posting.id,
    "place_id": PostingPlace.id,
    "objection_id": Objection.id,
    "disclosure_id": Disclosure.id,
    "key": Posting.key,
    "batch_id": CrossCheckBatch.id,
    "check_id": CrossCheck.id,
    "hearing_id": Hearing.id,
    "change_id": ChangeReport.id,
    "device_id": Device.id,
}


@pytest.fixture
async def known_ids(system, services, county) -> KnownIds:
    """Ids of a county with a case in every state."""
    async with open_session(services.sessions) as session:
        await load_cases(session, services, county)
    await system.run_jobs()
    async with services.sessions() as session:

        async def first_id(column, *where) -> str:
            return str(await session.scalar(select(column).where(*where).limit(1)))

        ids = {name: await first_id(column) for name, column in COLUMNS.items()}
        case_id = await first_id(CaseFile.id, CaseFile.state == "in_force")
        home = await first_id(CaseFile.household_id, CaseFile.id == case_id)
        staff = await first_id(Staff.id)
        return KnownIds(
            ids
            | dict.fromkeys(("staff_id", "to_staff_id", "from_staff_id"), staff)
            | dict.fromkeys(("area", "under"), TOWN)
            | {
                "case_id": case_id,
                "household_id": home,
                "household_ids": [home],
                "member_id": await first_id(HouseholdMember.id, HouseholdMember.household_id == home),
                "area_code": VILLAGE,
                "schema_version": "1",
                "version": "1",
                "if-_match": '"1"',
            },
            {
                "/public/v1/disclosures/{key}": {"key": await first_id(Disclosure.key)},
                "/desk/v1/rules/{key}/history": {"key": "visit.shortest_min"},
            },
        )


async def test_nothing_is_answered_by_500(system, services, county, known_ids):
    people = await sign_in(Office(system, services, county))
    asking: dict[tuple[str, str], httpx.AsyncClient] = {}
    wrong: list[str] = []
    for attack in attacks(json.loads(OPENAPI.read_text()), known_ids, every=4):
        if attack.route in NOT_ASKED or (attack.method == "delete" and not attack.what):
            continue
        route = attack.method, attack.route
        if not attack.what:
            answers = [(await ask(person, attack), person) for person in people[attack.route.split("/")[1]]]
            asking[route] = min(answers, key=how_deep)[1]
        else:
            answer = await ask(asking.get(route) or people[attack.route.split("/")[1]][0], attack)
            is_known = answer.status_code < 400 or attack.method == "head" or answer.json().get("code") in CATALOGUE
            if answer.status_code == 500 or not is_known:
                wrong.append(f"{attack.method} {attack.route} {attack.what}: {answer.status_code}")
    assert len(asking) > 150
    assert not wrong, "\n".join(wrong)


async def sign_in(office: Office) -> dict[str, list[httpx.AsyncClient]]:
    """Who asks, by the first part of the address; of several the one who comes deepest."""
    roles = ("town_officer", "county_officer", "supervisor", "admin", "caseworker")
    staff = [(await office.person(role)).http for role in roles]
    nobody = office.system.client()
    code = {"code": "demo-resident9-x", "device": {"label": "t"}}
    signed_in = await nobody.post("/auth/v1/resident/sign-in-wechat", json=code)
    resident = Desk(office.system, signed_in.json()).http
    return {
        "desk": staff,
        "field": staff[::-1],
        "uploads": staff[::-1],
        "resident": [resident],
        "auth": [*staff[:1], resident],
        "public": [nobody],
        "health": [nobody],
        "metrics": [nobody],
        ".well-known": [nobody],
    }


async def ask(client: httpx.AsyncClient, attack: Attack) -> httpx.Response:
    return await client.request(attack.method, attack.path, headers=attack.headers, content=attack.body)


def how_deep(pair: tuple[httpx.Response, Any]) -> int:
    status = pair[0].status_code
    return {401: 5, 403: 4, 404: 3}.get(status, 0 if status < 300 else 1)


def test_the_limits_of_a_parameter_stand_where_they_are_kept(app):
    """Litestar drops msgspec's Meta from a parameter without a word: such a limit is written and never looked at."""
    ours = [
        handler.fn
        for route in app.routes
        for handler in getattr(route, "route_handlers", [])
        if not handler.fn.__module__.startswith("litestar")
    ]
    lines = [(fn, name, kind) for fn in ours for name, kind in get_annotations(fn, eval_str=True).items()]
    parameters = [(fn.__qualname__, name, kind) for fn, name, kind in lines if is_parameter(kind)]
    assert len(parameters) > 200
    assert [(fn, name) for fn, name, kind in parameters if has_meta(kind)] == []


def is_parameter(kind: Any) -> bool:
    return any(isinstance(item, ParameterKwarg) for item in getattr(kind, "__metadata__", ()))


def has_meta(kind: Any) -> bool:
    own = getattr(kind, "__metadata__", ())
    return any(isinstance(item, Meta) for item in own) or any(has_meta(arg) for arg in get_args(kind))


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/desk/v1/queue", {"area": "33x"}),
        ("/desk/v1/queue", {"waitedH": "-1"}),
        ("/desk/v1/households", {"q": "长" * 61}),
        ("/desk/v1/rules", {"area": "339"}),
        ("/desk/v1/spot-checks/sample-size", {"population": "100", "errorPercent": "0"}),
        ("/desk/v1/spot-checks/sample-size", {"population": "-1"}),
    ],
)
async def test_a_parameter_beyond_its_limit_is_refused(desk, path, query):
    answer = await desk.http.get(path, params=query)
    assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid")
