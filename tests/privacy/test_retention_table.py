"""One table says what is rule how long: in the docs as at the desk."""

from server.core.paths import ROOT
from server.policy.schemas import SETTING_TYPES
from server.privacy.retention import RETENTION, write_table


def test_the_docs_have_the_table_of_the_desk():
    assert write_table() in (ROOT / "docs" / "retention.md").read_text()


def test_every_setting_that_keeps_or_deletes_is_in_the_table():
    named = {rule.setting for rule in RETENTION if rule.setting}
    assert named == {key for key in SETTING_TYPES if key.startswith("retention.") or key == "privacy.case_file_days"}


async def test_the_desk_shows_the_days_of_its_area(county_desk):
    lines = (await county_desk.http.get("/desk/v1/retention-table", params={"area": "339901"})).json()
    assert next(line for line in lines if line["setting"] == "retention.mismatched_days")["zh"] == "90 天"
