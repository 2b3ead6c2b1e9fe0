"""What the checks see of a visit: the visit itself, its photos, and what was recorded about its home and people.

`server/review/context_queries.py` loads it in a fixed number of queries; no check runs a query of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from server.core.clock import CHINA
from server.core.device_times import TimeBounds, bound_times
from server.core.location import Fix, Point
from server.models.evidence import Evidence
from server.models.households import Household, HouseholdMember
from server.models.people import Device
from server.models.review import SeenFix, SpotCheck
from server.models.visits import Attestation, Visit
from server.visits.answers import MemberThen

if TYPE_CHECKING:  # it imports numpy: 10 MB that the API does not need
    from server.photos.near_duplicates import NearDuplicate

# Most other visits that a check compares with or names: a finding needs examples, not the whole list.
MOST_OTHERS = 20


class PhotoContext(NamedTuple):
    """One listed photo: its manifest, what its file shows, and where else it is used."""

    evidence: Evidence
    facts: dict[str, Any]
    # Other visits whose manifests list the same bytes, as (visit, household).
    used_elsewhere: list[tuple[UUID, UUID]]
    mismatches: int
    near_duplicates: "Sequence[NearDuplicate]" = ()
    # A border of one colour, as screenshots have.
    has_frame: bool = False

    @property
    def taken_at(self) -> datetime | None:
        """Return the time of the camera's clock: with its zone, else read as China time.

        Phones here run on China time, and a finding shows its `taken_at_source` to the reviewer. Facts of the source
        `gps` are from before the camera's clock counted: their `capturedAt` is the time of the last fix.
        """
        captured_at = self.facts.get("capturedAt")
        if captured_at and self.facts.get("capturedAtSource") != "gps":
            return datetime.fromisoformat(captured_at)
        local = self.facts.get("capturedLocal")
        return datetime.fromisoformat(local).replace(tzinfo=CHINA) if local else None

    @property
    def taken_at_source(self) -> str | None:
        """Return `offset`, `gps_zone` or `local_clock`; None when EXIF holds no time of the camera's clock."""
        if self.taken_at is None:
            return None
        source: str | None = self.facts.get("capturedAtSource")
        return source if source and source != "gps" else "local_clock"

    @property
    def place(self) -> Point | None:
        position = self.facts.get("position")
        return Point(position["latitude"], position["longitude"]) if position else None


class UnloadedPhotos(list[PhotoContext]):
    """Stands in for photos that were not loaded; a check that reads them without `looks_at="photos"` fails."""

    def __iter__(self) -> Iterator[PhotoContext]:
        raise LookupError('this check reads photos, but its row does not say looks_at="photos"')

    def __len__(self) -> int:
        raise LookupError('this check counts photos, but its row does not say looks_at="photos"')


class FixAtOtherHome(NamedTuple):
    """A fix that the author recorded at another home, and that home's registered place."""

    fix: SeenFix
    home: Fix


class Journey(NamedTuple):
    """One investigator's last fix before this visit and their first fix in it."""

    before: SeenFix
    here: SeenFix


class CheckContext(NamedTuple):
    visit: Visit
    household: Household
    members: list[HouseholdMember]
    # Who holds the account that receives the payment; None while there is none.
    account_holder: str | None
    home: Fix | None
    start: Fix | None
    end: Fix | None
    photos: list[PhotoContext]
    attestations: list[Attestation]
    devices: dict[UUID, Device]
    # The author's journey comes first.
    journeys: list[Journey]
    # Visits that share an investigator with this one and began within a day of it.
    nearby_visits: list[Visit]
    # By device: how far its clock was ahead of the server's at its last request.
    clock_offsets: dict[UUID, timedelta]
    # Fixes of other visits with exactly the same coordinates.
    fixes_at_same_coordinates: list[SeenFix]
    # The author's fixes at other homes, within a few metres of a fix of this visit.
    fixes_at_same_spot: list[FixAtOtherHome]
    # The author's latest fixes up to the end of this visit, newest first, its own included.
    author_fixes: list[SeenFix]
    # Documents of the author's latest visits, newest first, to which last time's answers were offered; this visit's own
    # comes first if it is one of them.
    author_offered: list[dict[str, Any]]
    # Other staff who lately signed in on the author's phone.
    other_phone_users: list[UUID]
    # Investigators whose WeChat account is also bound as a resident.
    resident_investigators: list[UUID]
    # Staff who lately used one WeChat account with an investigator, who is included; empty: nobody shares.
    wechat_sharers: list[UUID]
    answers: dict[str, Any]
    # The latest visit to this home that began before this one, and its answers.
    last_visit: Visit | None
    last_answers: dict[str, Any]
    spot_check: SpotCheck | None
    # The members of the version of the household that the answers were judged by, when it is not the current one.
    members_then: list[MemberThen] | None
    # Policy settings of the visit's area on its day.
    settings: dict[str, Any]

    def setting(self, key: str) -> Any:
        return self.settings[key]

    def clock_offset(self, visit: Visit) -> timedelta:
        """Return how far the clock of the visit's phone was ahead; zero when not reported."""
        return self.clock_offsets.get(visit.device_id, timedelta())


def visited_on(visit: Visit) -> date:
    """Return the day, in China, whose policy settings apply to the visit."""
    return (visit.started_at or visit.received_at).astimezone(CHINA).date()


def field_bounds(settings: Mapping[str, Any], received_at: datetime) -> TimeBounds:
    """Return which times of a phone the area of a visit believes."""
    earliest = date.fromisoformat(settings["field.earliest_day"])
    return bound_times(received_at, earliest, timedelta(minutes=settings["field.clock_ahead_min"]))
