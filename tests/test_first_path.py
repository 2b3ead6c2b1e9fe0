"""One visit, from the phone to the resident, through the real app, database, store and jobs."""

from tests.phones import make_kit


async def partner_of(system, county, phone_login):
    return next(staff_member.partner_login for staff_member in county.staff if staff_member.login == phone_login)


async def push_whole(phone, partner, kit):
    assert await phone.push("evidence", *kit.evidence) == []
    assert await phone.push("visits", kit.visit) == []
    assert await partner.push("attestations", kit.attestation) == []
    for evidence_id, content in kit.photos.items():
        answer = await phone.upload(evidence_id, content)
        assert answer.status_code == 200, answer.text


async def test_a_visit_goes_from_the_phone_to_the_resident(system, services, county, phone, desk):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id, drawn=True)
    assert len(kit.visit["answers"]) >= 25

    await push_whole(phone, partner, kit)
    await system.run_jobs()

    own = (await phone.pull("visits"))[kit.visit["id"]]
    assert own["server"]["state"] == "under_review"
    assert own["server"]["receipt"]
    assert own["answers"] == kit.visit["answers"]
    assert {item["server"]["state"] for item in (await phone.pull("evidence")).values()} == {"verified"}
    assert kit.visit["assignmentId"] not in await phone.pull("assignments")

    queue = (await desk.http.get("/desk/v1/queue")).json()["items"]
    assert [item["visitId"] for item in queue] == [kit.visit["id"]]
    claim = (await desk.http.post("/desk/v1/queue/claim")).json()
    page = (await desk.http.get(f"/desk/v1/visits/{claim['visitId']}")).json()
    assert len(page["photos"]) == 4
    for photo in page["photos"]:
        link = await desk.http.get(f"/desk/v1/visits/{claim['visitId']}/photos/{photo['evidenceId']}/link")
        assert link.status_code == 200

    decision = await desk.http.post(
        f"/desk/v1/visits/{claim['visitId']}/decision",
        json={"outcome": "accepted"},
        headers={"If-Match": f'"{claim["version"]}"', "Idempotency-Key": "one"},
    )
    assert decision.status_code == 200, decision.text
    await system.run_jobs()

    assert (await phone.pull("visits"))[kit.visit["id"]]["server"]["state"] == "accepted"
    resident = next(resident for resident in county.residents if resident.application_number == due.application_number)
    case = await resident_case(system, resident)
    assert case["state"] == "preliminary"
    assert [item["step"] for item in case["timeline"]] == ["applied", "accepted", "survey_done"]


async def test_other_bytes_that_come_after_a_visit_was_whole_are_doubted_too(system, county, phone, desk):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id)
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    answer = await phone.upload(kit.evidence[0]["id"], next(iter(kit.photos.values())) + b"other")
    assert (answer.status_code, answer.json()["code"]) == (422, "photo.hash_mismatch")
    await system.run_jobs()
    page = (await desk.http.get(f"/desk/v1/visits/{kit.visit['id']}")).json()
    assert "photo.swapped" in {finding["code"] for finding in page["findings"]}


async def resident_case(system, resident):
    signed_in = await system.client().post(
        "/auth/v1/resident/sign-in-wechat",
        json={"code": f"demo-{resident.wechat_suffix}-n1", "device": {"label": "phone"}},
    )
    assert signed_in.status_code == 200, signed_in.text
    client = system.client(Authorization=f"Bearer {signed_in.json()['accessToken']}")
    bound = await client.post(
        "/auth/v1/resident/bind",
        json={"idNumber": resident.id_number, "applicationNumber": resident.application_number},
    )
    assert bound.status_code == 200, bound.text
    return (await client.get("/resident/v1/cases")).json()[0]
