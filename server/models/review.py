"""Review: the queue, findings, decisions and statistics of visits, and spot checks.

The checks of a visit also write its fixes and the fingerprints of its photos, which the checks of other visits read.
"""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    and_,
    cast,
    false,
    func,
    literal_column,
    or_,
    select,
    text,
    union,
)
from sqlalchemy.dialects.postgresql import ARRAY, BIT, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import REVIEW_ROLES, Caller, in_areas
from server.core.database import Base, inline_literal
from server.core.normalise import same_name
from server.models.cases import RelativeOnStaff
from server.models.columns import AreaCode, Id, Json, JsonList, OptionalJson, OptionalTime, Sha256, Time, WrittenAt
from server.models.visits import Visit, VisitInvestigator

SEVERITIES = ("info", "notice", "warning", "critical")
OUTCOMES = ("accepted", "returned", "spot_check", "escalated")

COUNTY_CODE_LENGTH = 6
WAITS_SINCE_SQL = "((entered_at AT TIME ZONE 'UTC') - priority * interval '1 day') AT TIME ZONE 'UTC'"


class ReviewItem(Base):
    """A complete visit in the queue: `waiting`, `claimed` (with a lease) or `decided`.

    `amended`: its author has submitted a correction; it returns to the queue when that is complete.
    """

    __tablename__ = "review_item"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'claimed', 'decided', 'amended')", name="state_is_known"),
        CheckConstraint(
            "(state = 'claimed') = (holder_id IS NOT NULL AND lease_until IS NOT NULL)",
            name="claimed_has_a_holder",
        ),
        Index("ix_review_item_queue", "waits_since", "visit_id", postgresql_where=text("state <> 'decided'")),
        # Only unclaimed items: claiming the next item does not scan the claimed items before it.
        Index("ix_review_item_waiting", "waits_since", "visit_id", postgresql_where=text("state = 'waiting'")),
        # The queue of a county in order; without it a county's reviewer would scan the whole province's queue.
        Index(
            "ix_review_item_county_queue",
            text("left(area_code, 6)"),
            "waits_since",
            "visit_id",
            postgresql_where=text("state <> 'decided'"),
        ),
        Index(
            "ix_review_item_finding",
            "finding_codes",
            postgresql_using="gin",
            postgresql_where=text("state <> 'decided'"),
        ),
        Index("ix_review_item_changed", "changed_at"),
        Index("ix_review_item_entered", "entered_at", postgresql_where=text("state <> 'decided'")),
        Index("ix_review_item_claimed", "lease_until", postgresql_where=text("state = 'claimed'")),
    )

    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"), primary_key=True)
    area_code: Mapped[AreaCode]
    kind: Mapped[str]
    # Copied from the visit, so that the queue's filters read one table. Null only in old rows.
    household_id: Mapped[UUID | None] = mapped_column(ForeignKey("household.id"), index=True)
    author_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"), index=True)
    # The codes of the current findings, and the highest severity as an index of SEVERITIES (-1: no findings).
    finding_codes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    gravest: Mapped[int] = mapped_column(server_default=text("-1"))
    changed_at: Mapped[WrittenAt]
    state: Mapped[str] = mapped_column(default="waiting")
    # The number of days by which its findings move it forward in the queue (`review.finding_days`).
    priority: Mapped[int]
    entered_at: Mapped[Time]
    # Its position in the queue: the entry time minus `priority` days. The order of two items never changes by waiting.
    waits_since: Mapped[Time] = mapped_column(Computed(WAITS_SINCE_SQL, persisted=True))
    holder_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    lease_until: Mapped[OptionalTime]
    version: Mapped[int] = mapped_column(default=1)

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        """Match items in the caller's areas without those of `excluded_visits`."""
        is_allowed = (cls.visit_id.not_in(visits) for _, visits in cls.excluded_visits_of(caller))
        return and_(cls.in_review_areas(caller), *is_allowed)

    @classmethod
    def in_review_areas(cls, caller: Caller) -> ColumnElement[bool]:
        areas = [cls.in_area(prefix) for prefix in caller.prefixes(REVIEW_ROLES)]
        return or_(*areas) if areas else false()

    @classmethod
    def excluded_for(cls, caller: Caller) -> ColumnElement[bool]:
        """Match the items that `in_scope` excludes for this caller, in any area."""
        return cls.visit_id.in_(union(*(visits for _, visits in cls.excluded_visits_of(caller))))

    @classmethod
    def excluded_visits_of(cls, caller: Caller) -> list[tuple[str, Any]]:
        """Select what bars the caller, and what bars those whom they stand in for, each with its error code."""
        return [bar for person in caller.persons for bar in cls.excluded_visits(person.id, person.name).items()]

    @classmethod
    def excluded_visits(cls, staff_id: Any, name: Any) -> dict[str, Any]:
        """Select the visits that a person may not decide on, by error code.

        These are their own visits and spot checks of them; visits to a household that declares them as a relative;
        and visits that they are assigned to spot-check blindly. Relatives are declared by name (近亲属备案), so a
        person of the same name is excluded too; other reviewers are available.
        """
        own = union(
            select(VisitInvestigator.visit_id).where(VisitInvestigator.staff_id == staff_id),
            select(Visit.id).where(Visit.typed_by == staff_id),
        )
        spot_checks_of_own = (
            select(Visit.id)
            .join(SpotCheck, SpotCheck.assignment_id == Visit.assignment_id)
            .join(VisitInvestigator, VisitInvestigator.visit_id == SpotCheck.visit_id)
            .where(VisitInvestigator.staff_id == staff_id)
        )
        relatives = (
            select(ReviewItem.visit_id)
            .join(RelativeOnStaff, RelativeOnStaff.household_id == ReviewItem.household_id)
            .where(same_name(RelativeOnStaff.name, name))
        )
        return {
            "review.own_visit": union(own, spot_checks_of_own),
            "review.relative": relatives,
            "review.blind": SpotCheck.blinded_visits(staff_id),
        }

    @classmethod
    def in_area(cls, prefix: str) -> ColumnElement[bool]:
        """Match items of an area and below it, by a predicate that can use the index of a county's queue.

        A prefix shorter than a county uses only LIKE, and an exact county only equality: redundant predicates make the
        planner multiply selectivities and estimate zero rows.
        """
        county: ColumnElement[bool] = func.left(
            cls.area_code, literal_column(str(COUNTY_CODE_LENGTH))
        ) == inline_literal(prefix[:COUNTY_CODE_LENGTH])
        below = cls.area_code.startswith(inline_literal(prefix))
        if len(prefix) == COUNTY_CODE_LENGTH:
            return county
        return and_(county, below) if len(prefix) > COUNTY_CODE_LENGTH else below


class QueueCount(Base):
    """The number of undecided visits of a county by the queue's filters: the sum of `items` over matching rows.

    A trigger on `review_item` inserts a row for each item added or removed, in the same transaction, so that no writer
    waits for another. `fold_counts` merges the rows.
    """

    __tablename__ = "queue_count"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    county_code: Mapped[str] = mapped_column(String(6), index=True)
    kind: Mapped[str]
    gravest: Mapped[int]
    finding_codes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    items: Mapped[int]


class Finding(Base):
    """A finding of a check for a reviewer to judge: a code, the facts behind it and the verdict."""

    __tablename__ = "finding"
    __table_args__ = (
        CheckConstraint(f"severity IN {SEVERITIES}", name="severity_is_known"),
        CheckConstraint("settled_as IN ('upheld', 'dismissed')", name="settled_is_known"),
        # Index-only scan of the overview, which counts findings by day and area.
        Index(
            "ix_finding_overview",
            "visited_on",
            "area_code",
            postgresql_include=["code", "settled_as"],
            postgresql_where=text("superseded_at IS NULL OR settled_as IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"), index=True)
    evidence_id: Mapped[UUID | None] = mapped_column(ForeignKey("evidence.id"))
    code: Mapped[str]
    severity: Mapped[str]
    facts: Mapped[Json]
    found_at: Mapped[WrittenAt]
    # When a later run of the checks no longer found it; the row remains as history.
    superseded_at: Mapped[OptionalTime]
    settled_as: Mapped[str | None]
    settled_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    # Copied from the visit, so that findings are counted without a join. China's date; null: the visit has no start.
    area_code: Mapped[str | None] = mapped_column(String(12))
    visited_on: Mapped[date | None]


class Decision(Base):
    __tablename__ = "decision"
    __table_args__ = (
        CheckConstraint(f"outcome IN {OUTCOMES}", name="outcome_is_known"),
        Index(
            "uq_decision_stands_once",
            "visit_id",
            unique=True,
            postgresql_where=text("undone_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"), index=True)
    reviewer_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    outcome: Mapped[str]
    reason: Mapped[str]
    # The client's key: a repeated request with the same content gets the first response.
    idempotency_key: Mapped[str | None] = mapped_column(unique=True)
    # For a return: the questions and photos to correct, with reasons.
    questioned: Mapped[JsonList]
    # The verdict on each finding, and its previous verdict.
    judged: Mapped[JsonList] = mapped_column(server_default="[]")
    decided_at: Mapped[Time]
    # When it was undone by its reviewer, or superseded because the visit returned to the queue.
    undone_at: Mapped[OptionalTime]
    undone_why: Mapped[str | None]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        visits: Any = select(Visit.id).where(Visit.in_scope(caller))
        return cls.visit_id.in_(visits)


# The overview selects the visits of a period by all authors.
Index("ix_visit_started_at", Visit.started_at)


class VisitTally(Base):
    """One narrow row per complete visit, with all that the overview counts, so that it reads no other table.

    Only server/review/tallies.py writes it, in the transaction that changes its source rows.
    """

    __tablename__ = "visit_tally"
    __table_args__ = (
        # Index-only scans for a period of a county or village, and of a whole province.
        Index(
            "ix_visit_tally_county",
            "county_code",
            "visited_on",
            postgresql_include=["area_code", "author_id", "is_late", "is_returned", "decided_after_s"],
        ),
        Index(
            "ix_visit_tally_day",
            "visited_on",
            postgresql_include=["area_code", "author_id", "is_late", "is_returned", "decided_after_s"],
        ),
        # Groups by caseworker without a sort.
        Index(
            "ix_visit_tally_author",
            "author_id",
            "visited_on",
            postgresql_include=["area_code", "is_late", "is_returned", "decided_after_s"],
        ),
    )

    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"), primary_key=True)
    county_code: Mapped[str] = mapped_column(String(6))
    area_code: Mapped[str] = mapped_column(String(12))
    author_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    # China's date.
    visited_on: Mapped[date]
    # Made after the assignment's due date.
    is_late: Mapped[bool]
    # Returned at least once by a decision that was not undone.
    is_returned: Mapped[bool]
    # Seconds from the receipt of the visit to the first decision that was not undone; null: none yet.
    decided_after_s: Mapped[float | None]


class VisitMonth(Base):
    """The sums of VisitTally by calendar month, for prefectures (level 4) and counties (level 6).

    `bucket` is the time until the first decision, -1 when undecided. The SQL function `decided_bucket` computes it,
    and `decided_at_bucket` returns the seconds that a bucket stands for. A trigger writes each change of a tally to
    `visit_month_change`, so that no writer waits for another; these rows are added when counting, until `fold_months`
    merges them.
    """

    __tablename__ = "visit_month"

    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    month: Mapped[date] = mapped_column(primary_key=True)
    area_code: Mapped[str] = mapped_column(String(6), primary_key=True)
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    visits: Mapped[int]
    late: Mapped[int]
    returned: Mapped[int]


class VisitMonthChange(Base):
    __tablename__ = "visit_month_change"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    county_code: Mapped[str] = mapped_column(String(6))
    month: Mapped[date]
    bucket: Mapped[int] = mapped_column(SmallInteger)
    visits: Mapped[int]
    late: Mapped[int]
    returned: Mapped[int]


class SavedView(Base):
    """A named set of queue filters of one reviewer."""

    __tablename__ = "saved_view"

    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    filters: Mapped[Json]
    saved_at: Mapped[WrittenAt]


class SeenFix(Base):
    """A fix of a checked visit, for comparison with the fixes of other visits and for the map."""

    __tablename__ = "seen_fix"
    __table_args__ = (
        CheckConstraint("moment IN ('start', 'end', 'attested')", name="moment_is_known"),
        Index("ix_seen_fix_place", "latitude", "longitude"),
        Index("ix_seen_fix_time", "captured_at", postgresql_where=text("moment = 'start'")),
        Index("ix_seen_fix_person", "staff_id", "captured_at"),
        Index("ix_seen_fix_area_prefix", "area_code", "captured_at", postgresql_ops={"area_code": "text_pattern_ops"}),
    )

    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"), primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    moment: Mapped[str] = mapped_column(primary_key=True)
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"))
    area_code: Mapped[str] = mapped_column(String(12))
    latitude: Mapped[float]
    longitude: Mapped[float]
    datum: Mapped[str]
    accuracy_m: Mapped[float | None]
    captured_at: Mapped[Time]


# Bands 0 to 3 are the 64 lowest frequencies, an 8 x 8 block.
_COARSE_BANDS = 4


def _band(number: int) -> str:
    """Return the SQL that reads sixteen of the 16 x 16 bits as an integer."""
    if number >= 2 * _COARSE_BANDS:
        bits = f"substring(fingerprint, {number * 16 + 1}, 16)"
    else:
        first = number * 32 + 1 if number < _COARSE_BANDS else (number - _COARSE_BANDS) * 32 + 9
        bits = f"substring(fingerprint, {first}, 8) || substring(fingerprint, {first + 16}, 8)"
    return f"(({bits})::bit(16))::integer"


# Two fingerprints that differ in at most 31 bits differ by at most one bit in one of sixteen bands, so looking up each
# band and its neighbours finds all of them (multi-index hashing: Norouzi, Punjani, Fleet, 2012).
FINGERPRINT_BANDS = tuple(_band(number) for number in range(16))


class SeenPhoto(Base):
    """The fingerprint of a photo of a checked visit, by county, for the search for near-duplicates.

    `part` is the whole picture or the picture inside its frame. Each index covers the search.
    """

    __tablename__ = "seen_photo"
    __table_args__ = (
        CheckConstraint("part IN ('whole', 'inside')", name="part_is_known"),
        Index("ix_seen_photo_visit", "visit_id"),
        *(
            Index(
                f"ix_seen_photo_band_{number:02}",
                "county_code",
                text(f"({band})"),
                postgresql_include=["fingerprint", "evidence_id", "part"],
            )
            for number, band in enumerate(FINGERPRINT_BANDS)
        ),
    )

    evidence_id: Mapped[UUID] = mapped_column(ForeignKey("evidence.id"), primary_key=True)
    part: Mapped[str] = mapped_column(primary_key=True, default="whole")
    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"))
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"))
    county_code: Mapped[str] = mapped_column(String(6))
    sha256: Mapped[Sha256]
    fingerprint: Mapped[str] = mapped_column(BIT(256))


# Keypoints of those photos, by which cropped parts are found (`media.keypoints`), in ten-thousandths of the sides. The
# table has no primary key: rows are inserted and deleted with their photo. The index covers the search.
SEEN_KEYPOINT = Table(
    "seen_mark",
    Base.metadata,
    Column("evidence_id", Uuid, nullable=False),
    Column("part", String, nullable=False),
    Column("county_code", String(6), nullable=False),
    Column("key", Integer, nullable=False),
    Column("bits", BigInteger, nullable=False),
    *(Column(name, SmallInteger, nullable=False) for name in ("x", "y", "across", "down")),
    ForeignKeyConstraint(["evidence_id", "part"], ["seen_photo.evidence_id", "seen_photo.part"], ondelete="CASCADE"),
    Index("ix_seen_mark_photo", "evidence_id"),
    Index(
        "ix_seen_mark_key",
        "county_code",
        "key",
        postgresql_include=["bits", "x", "y", "across", "down", "evidence_id", "part"],
    ),
)


class SpotCheckPlan(Base):
    """A plan: which share of which visits of a period is visited a second time. Immutable after the draw."""

    __tablename__ = "spot_check_plan"
    __table_args__ = (CheckConstraint("period_from <= period_to", name="period_is_forward"),)

    id: Mapped[Id]
    area_code: Mapped[AreaCode]
    name: Mapped[str]
    period_from: Mapped[date]
    period_to: Mapped[date]
    # Shares by stratum, quotas and complete populations: see server/spotchecks/draw.py.
    design: Mapped[Json]
    written_at: Mapped[WrittenAt]
    written_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    # A plan is drawn once, so that nobody repeats the draw until the sample suits them.
    drawn_at: Mapped[OptionalTime]
    drawn_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    seed: Mapped[str | None]
    method: Mapped[str | None]
    # The population of the draw and its hash, so that anyone can reproduce the sample.
    population: Mapped[OptionalJson]
    population_sha256: Mapped[str | None] = mapped_column(String(64))

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        return in_areas(cls.area_code, caller, REVIEW_ROLES)


SPOT_CHECK_STATES = ("drawn", "assigned", "compared", "cancelled")


class SpotCheck(Base):
    """A second visit by a team that took no part in the first visit and does not see its results."""

    __tablename__ = "spot_check"
    __table_args__ = (
        CheckConstraint(f"state IN {SPOT_CHECK_STATES}", name="state_is_known"),
        UniqueConstraint("plan_id", "visit_id"),
        Index("ix_spot_check_first", "visit_id"),
        Index("ix_spot_check_second", "second_visit_id"),
        # Few rows: checks with an assigned team, which every query of the queue reads.
        Index("ix_spot_check_assigned", "staff_id", "partner_id", postgresql_where=text("state = 'assigned'")),
    )

    id: Mapped[Id]
    # Null: ordered by a reviewer's decision.
    plan_id: Mapped[UUID | None] = mapped_column(ForeignKey("spot_check_plan.id"))
    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"))
    area_code: Mapped[AreaCode]
    why: Mapped[str]
    stratum: Mapped[str]
    state: Mapped[str]
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    partner_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    assignment_id: Mapped[UUID | None] = mapped_column(ForeignKey("assignment.id"), unique=True)
    # The ids of the caseload rows that give the team access to the household during the check.
    grants: Mapped[JsonList] = mapped_column(server_default=text("'[]'"))
    second_visit_id: Mapped[UUID | None] = mapped_column(ForeignKey("visit.id"))
    # One entry per question of both visits: question, memberId, agrees, first, second.
    comparison: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    compared_at: Mapped[OptionalTime]
    created_at: Mapped[WrittenAt]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        """By area, without unfinished checks of the caller's own visits, whose team the caller must not assign."""
        own_visits: Any = select(VisitInvestigator.visit_id).where(
            VisitInvestigator.staff_id.in_([person.id for person in caller.persons])
        )
        is_over = or_(cls.state == "compared", cls.visit_id.not_in(own_visits))
        return and_(in_areas(cls.area_code, caller, REVIEW_ROLES), is_over)

    @classmethod
    def is_no_team(cls, caseload_id: Any) -> ColumnElement[bool]:
        """Match caseload rows other than those of teams, who have a household for their check alone.

        A list that named them as holders would tell the first team of the check.
        """
        grants: Any = select(cast(func.jsonb_array_elements_text(cls.grants), Uuid)).where(
            cls.state == literal_column("'assigned'")
        )
        no_team: ColumnElement[bool] = caseload_id.not_in(grants)
        return no_team

    @classmethod
    def blinded_visits(cls, staff_id: Any) -> Any:
        """Select the visits that a person is assigned to spot-check; they must not see them before their own visit."""
        is_assigned = cls.state == literal_column("'assigned'")
        return select(cls.visit_id).where(is_assigned, or_(cls.staff_id == staff_id, cls.partner_id == staff_id))

    @classmethod
    def blinded_visits_of(cls, caller: Caller) -> Any:
        """Select what the caller must not see: also of those they stand in for, whose check may become theirs."""
        return union(*(cls.blinded_visits(person.id) for person in caller.persons))
