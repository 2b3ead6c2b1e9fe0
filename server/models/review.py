"""Review: what awaits a person, the doubts about it, and what was decided.

Beside them stands what the examination of one visit leaves for that of another: its fixes and the fingerprints
of its photos; and the spot checks, a second look at homes that were drawn, or that someone doubts.
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
from server.models.cases import RelativeOnStaff
from server.models.columns import AreaCode, Id, Json, JsonList, OptionalJson, OptionalTime, Sha256, Time, WrittenAt
from server.models.visits import Visit, VisitInvestigator

SEVERITIES = ("info", "notice", "warning", "critical")
OUTCOMES = ("accepted", "returned", "spot_check", "escalated")


COUNTY_CODE_LENGTH = 6
WAITS_SINCE_SQL = "((entered_at AT TIME ZONE 'UTC') - priority * interval '1 day') AT TIME ZONE 'UTC'"


class ReviewItem(Base):
    """A complete visit in the queue. `waiting` and past its lease, or `claimed`, or `decided`.

    `amended`: its author has corrected it, and it is not whole yet; it comes back when it is.
    """

    __tablename__ = "review_item"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'claimed', 'decided', 'amended')", name="state_is_known"),
        CheckConstraint(
            "(state = 'claimed') = (holder_id IS NOT NULL AND lease_until IS NOT NULL)",
            name="claimed_has_a_holder",
        ),
        Index("ix_review_item_queue", "waits_since", "visit_id", postgresql_where=text("state <> 'decided'")),
        # Those that nobody has claimed: whoever claims the next does not walk past all that are claimed before it.
        Index("ix_review_item_waiting", "waits_since", "visit_id", postgresql_where=text("state = 'waiting'")),
        # A county's own queue, in order: without it a county's reviewer walks through the whole province's.
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
    # Of the visit: copied, so that the queue's filters read one table. Null only on rows of before.
    household_id: Mapped[UUID | None] = mapped_column(ForeignKey("household.id"), index=True)
    author_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"), index=True)
    # The codes of the findings that stand, and the gravest of their severities (its place in SEVERITIES; -1: none).
    finding_codes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    gravest: Mapped[int] = mapped_column(server_default=text("-1"))
    changed_at: Mapped[WrittenAt]
    state: Mapped[str] = mapped_column(default="waiting")
    # For so many days of waiting its findings count (`review.finding_days`).
    priority: Mapped[int]
    entered_at: Mapped[Time]
    # Its place: as if it had come so much earlier. Of two visits the order never changes by waiting alone.
    waits_since: Mapped[Time] = mapped_column(Computed(WAITS_SINCE_SQL, persisted=True))
    holder_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    lease_until: Mapped[OptionalTime]
    version: Mapped[int] = mapped_column(default=1)

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        """By area, and nothing that `barred` tells of."""
        barred = (cls.visit_id.not_in(visits) for visits in cls.barred(caller.id, caller.name).values())
        return and_(cls.in_areas_of(caller), *barred)

    @classmethod
    def in_areas_of(cls, caller: Caller) -> ColumnElement[bool]:
        areas = [cls.under(prefix) for prefix in caller.prefixes(REVIEW_ROLES)]
        return or_(*areas) if areas else false()

    @classmethod
    def not_for(cls, caller: Caller) -> ColumnElement[bool]:
        """What `in_scope` keeps from a caller in their own areas."""
        return cls.visit_id.in_(union(*cls.barred(caller.id, caller.name).values()))

    @classmethod
    def barred(cls, staff_id: Any, name: Any) -> dict[str, Any]:
        """The visits that a person may not decide on, by the code of why.

        Their own, and the second look at one; one to a home that names them as a relative: those are declared by name
        (近亲属备案), so a namesake is kept away too, for there are other reviewers; and one that they are on the way to
        check blindly.
        """
        own = select(VisitInvestigator.visit_id).where(VisitInvestigator.staff_id == staff_id)
        second_looks = (
            select(Visit.id)
            .join(SpotCheck, SpotCheck.assignment_id == Visit.assignment_id)
            .join(VisitInvestigator, VisitInvestigator.visit_id == SpotCheck.visit_id)
            .where(VisitInvestigator.staff_id == staff_id)
        )
        relatives = (
            select(ReviewItem.visit_id)
            .join(RelativeOnStaff, RelativeOnStaff.household_id == ReviewItem.household_id)
            .where(RelativeOnStaff.name == name)
        )
        return {
            "review.own_visit": union(own, second_looks),
            "review.relative": relatives,
            "review.blind": SpotCheck.hidden_from(staff_id),
        }

    @classmethod
    def under(cls, prefix: str) -> ColumnElement[bool]:
        """Items of an area and below it, said so that a county's are found, in order, by their own index.

        A prefix of more than one county is said by LIKE alone, and nothing is said twice: the planner would
        take two sayings of one thing for two independent ones, and expect no rows.
        """
        county: ColumnElement[bool] = func.left(
            cls.area_code, literal_column(str(COUNTY_CODE_LENGTH))
        ) == inline_literal(prefix[:COUNTY_CODE_LENGTH])
        below = cls.area_code.startswith(inline_literal(prefix))
        if len(prefix) == COUNTY_CODE_LENGTH:
            return county
        return and_(county, below) if len(prefix) > COUNTY_CODE_LENGTH else below


class QueueCount(Base):
    """How many visits of a county await a decision, by what the queue's counts ask: the sum over the rows of a kind.

    A trigger on `review_item` adds a row for each that comes or goes, in its transaction, so that nobody waits for
    another; `fold_counts` makes few of many.
    """

    __tablename__ = "queue_count"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    county_code: Mapped[str] = mapped_column(String(6), index=True)
    kind: Mapped[str]
    gravest: Mapped[int]
    finding_codes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    items: Mapped[int]


class Finding(Base):
    """A doubt for a person to judge: a code, the facts behind it, and what became of it."""

    __tablename__ = "finding"
    __table_args__ = (
        CheckConstraint(f"severity IN {SEVERITIES}", name="severity_is_known"),
        CheckConstraint("settled_as IN ('upheld', 'dismissed')", name="settled_is_known"),
        # What the overview counts, by day and area; it reads nothing else of a finding.
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
    # No longer so after a re-run; the row stays as history.
    superseded_at: Mapped[OptionalTime]
    settled_as: Mapped[str | None]
    settled_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    # Of the visit: copied, so that findings are counted without it. The day is China's; null: never started.
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
    # The client's key of this act: the same key and content is answered as the first time.
    idempotency_key: Mapped[str | None] = mapped_column(unique=True)
    # For a return: which questions and photos, and why each.
    questioned: Mapped[JsonList]
    # What it said of which finding, and what had been said of it before.
    judged: Mapped[JsonList] = mapped_column(server_default="[]")
    decided_at: Mapped[Time]
    # When it ceased to stand: taken back by whoever made it, or the visit came before a reviewer again.
    undone_at: Mapped[OptionalTime]
    undone_why: Mapped[str | None]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        visits: Any = select(Visit.id).where(Visit.in_scope(caller))
        return cls.visit_id.in_(visits)


# The overview asks for the visits of a period, whoever made them.
Index("ix_visit_started_at", Visit.started_at)


class VisitTally(Base):
    """One narrow line a whole visit: what the overview counts, so that it needs no other table.

    Written by `tally` in the transaction of whatever it depends on, from those rows, and by nothing else.
    """

    __tablename__ = "visit_tally"
    __table_args__ = (
        # A county's or a village's period, and a whole province's: each from its index alone.
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
        # Each caseworker's, one after the other: nothing is left to sort.
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
    # China's day.
    visited_on: Mapped[date]
    # Made after the day its assignment was due.
    is_late: Mapped[bool]
    # Once returned by a decision that was not taken back.
    is_returned: Mapped[bool]
    # From its arrival to the first decision that was not taken back; null: none yet.
    decided_after_s: Mapped[float | None]


class VisitMonth(Base):
    """The tallies of a calendar month, summed: of a prefecture (level 4) and of a county (6).

    `bucket`: how long after it came a visit was first decided; -1: not yet. The database's `decided_bucket` gives it
    and `decided_at_bucket` the seconds it stands for. What a tally changes is noted in `visit_month_change` by a
    trigger, so that nobody waits for another, and counts from there until `fold_months` adds it up.
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
    """A reviewer's own name for a set of filters of the queue."""

    __tablename__ = "saved_view"

    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    filters: Mapped[Json]
    saved_at: Mapped[WrittenAt]


class SeenFix(Base):
    """One fix of an examined visit: how the fixes of other visits find it, and what the map shows."""

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


# Bands 0 to 3 are the 64 lowest frequencies, eight by eight.
_COARSE_BANDS = 4


def _band(number: int) -> str:
    """Sixteen of the 16 x 16 bits as a number."""
    if number >= 2 * _COARSE_BANDS:
        bits = f"substring(fingerprint, {number * 16 + 1}, 16)"
    else:
        first = number * 32 + 1 if number < _COARSE_BANDS else (number - _COARSE_BANDS) * 32 + 9
        bits = f"substring(fingerprint, {first}, 8) || substring(fingerprint, {first + 16}, 8)"
    return f"(({bits})::bit(16))::integer"


# Two fingerprints that differ in at most 31 bits agree in one of sixteen bands but for a bit, so looking up each
# band and its neighbours misses none of them (multi-index hashing: Norouzi, Punjani, Fleet, 2012).
FINGERPRINT_BANDS = tuple(_band(number) for number in range(16))


class SeenPhoto(Base):
    """The fingerprint of one photo of an examined visit, by county: where near-duplicates are looked for.

    `part` is the whole picture, or what is inside its frame. Each index holds all that the look-up reads.
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


# Places of those photos that stand out, by which parts of them are found (`media.keypoints`): in ten-thousandths of the
# sides. It has no key of its own: rows come and go with their photo's. The index holds all that the look-up reads.
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
    """What share of which visits of a period is looked at a second time. Never changed once drawn from."""

    __tablename__ = "spot_check_plan"
    __table_args__ = (CheckConstraint("period_from <= period_to", name="period_is_forward"),)

    id: Mapped[Id]
    area_code: Mapped[AreaCode]
    name: Mapped[str]
    period_from: Mapped[date]
    period_to: Mapped[date]
    # Share, strata, quotas and whole populations: see server/spotchecks/draw.py.
    design: Mapped[Json]
    written_at: Mapped[WrittenAt]
    written_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    # The draw: once for each plan, so that nobody draws until the sample pleases.
    drawn_at: Mapped[OptionalTime]
    drawn_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    seed: Mapped[str | None]
    method: Mapped[str | None]
    # The population exactly as drawn from, and its hash, so that anyone can draw again.
    population: Mapped[OptionalJson]
    population_sha256: Mapped[str | None] = mapped_column(String(64))

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        return in_areas(cls.area_code, caller, REVIEW_ROLES)


SPOT_CHECK_STATES = ("drawn", "assigned", "compared", "cancelled")


class SpotCheck(Base):
    """A second look at one visit, by people who were not there and do not see what the first ones wrote."""

    __tablename__ = "spot_check"
    __table_args__ = (
        CheckConstraint(f"state IN {SPOT_CHECK_STATES}", name="state_is_known"),
        UniqueConstraint("plan_id", "visit_id"),
        Index("ix_spot_check_first", "visit_id"),
        Index("ix_spot_check_second", "second_visit_id"),
        # Those whose team is on the way: few, and asked for whenever someone looks at the queue.
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
    # The caseload lines that the team holds the home by, while it checks.
    grants: Mapped[JsonList] = mapped_column(server_default=text("'[]'"))
    second_visit_id: Mapped[UUID | None] = mapped_column(ForeignKey("visit.id"))
    # One entry per question that both visits asked: question, memberId, agrees, first, second.
    comparison: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    compared_at: Mapped[OptionalTime]
    created_at: Mapped[WrittenAt]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        """By area; of a check of their own visit a caller hears once it is over, and sends nobody to make it."""
        of_own: Any = select(VisitInvestigator.visit_id).where(VisitInvestigator.staff_id == caller.id)
        is_over = or_(cls.state == "compared", cls.visit_id.not_in(of_own))
        return and_(in_areas(cls.area_code, caller, REVIEW_ROLES), is_over)

    @classmethod
    def hidden_from(cls, staff_id: Any) -> Any:
        """The visits that a person is on the way to check: until they have been there they see nothing of them."""
        is_assigned = cls.state == literal_column("'assigned'")
        return select(cls.visit_id).where(is_assigned, or_(cls.staff_id == staff_id, cls.partner_id == staff_id))
