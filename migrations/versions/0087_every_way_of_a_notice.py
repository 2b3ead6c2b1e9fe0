"""Every way of a notice: announcements, deliveries, what people ended, followers, pushed events

Revision: 0087, after 0086
"""

import sqlalchemy as sa
from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0087"
down_revision = "0086"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
TEXT_STATES = (
    "none", "waiting", "sending", "unneeded", "sent", "failed", "unsure", "no_phone", "over_budget", "not_set_up"
)  # fmt: skip
WAYS = ("miniprogram", "service_subscribe", "service_template", "sms")
DELIVERY_STATES = ("sending", "waiting", "sent", "delivered", "refused", "failed", "unsure")
RULES: dict[str, tuple[object, str]] = {
    "notice.ways": (
        ["miniprogram", "service_subscribe", "service_template"],
        "project default: first what a person has agreed to",
    ),
    "notice.sms_kinds": (
        ["papers", "decided", "changed"],
        "law: 《社会救助暂行办法》§11; what is refused is told in writing, with the reason",
    ),
    "notice.sms_after_hours": (24, "project default: a day for the ways that cost nothing"),
    "notice.sms_per_month": (0, "project default: none until an area writes its budget, which it pays"),
}


def upgrade() -> None:
    _create_announcement()
    _create_message_delivery()
    _create_message_stop()
    _create_wechat_follower()
    _create_wechat_event()
    write_rules(RULES)


def _create_announcement() -> None:
    op.create_table(
        "announcement",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("thing", sa.String(), nullable=False),
        sa.Column("household_id", sa.Uuid(), sa.ForeignKey("household.id"), nullable=True),
        sa.Column("area_code", sa.String(12), sa.ForeignKey("area.code"), nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("text_state", sa.String(), nullable=False),
        sa.Column("text_why", sa.String(), nullable=True),
        sa.UniqueConstraint("kind", "thing", "household_id", postgresql_nulls_not_distinct=True),
        sa.CheckConstraint(f"text_state IN {TEXT_STATES}", name="text_state_is_known"),
    )
    for column in ("household_id", "area_code"):
        op.create_index(op.f(f"ix_announcement_{column}"), "announcement", [column])
    op.create_index("ix_announcement_newest", "announcement", [sa.text("made_at DESC"), sa.text("id DESC")])
    op.add_column("notice", sa.Column("announcement_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_notice_announcement_id_announcement"), "notice", "announcement", ["announcement_id"], ["id"]
    )
    op.create_index(op.f("ix_notice_announcement_id"), "notice", ["announcement_id"])


def _create_message_delivery() -> None:
    op.create_table(
        "message_delivery",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("notice_id", sa.Uuid(), sa.ForeignKey("notice.id"), nullable=True),
        sa.Column("announcement_id", sa.Uuid(), sa.ForeignKey("announcement.id"), nullable=True),
        sa.Column("way", sa.String(), nullable=False),
        sa.Column("template_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=True),
        sa.Column("message_id", sa.String(), nullable=True),
        sa.Column("begun_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("receipt_at", TIME, nullable=True),
        sa.UniqueConstraint("notice_id", "way"),
        sa.CheckConstraint(f"way IN {WAYS}", name="way_is_known"),
        sa.CheckConstraint(f"state IN {DELIVERY_STATES}", name="state_is_known"),
        sa.CheckConstraint("(way = 'sms') = (notice_id IS NULL)", name="texts_go_to_households"),
    )
    op.create_index(op.f("ix_message_delivery_announcement_id"), "message_delivery", ["announcement_id"])
    op.create_index(
        "ix_message_delivery_message",
        "message_delivery",
        ["message_id"],
        postgresql_where=sa.text("message_id IS NOT NULL"),
    )
    op.create_index(
        "ix_message_delivery_texts", "message_delivery", ["begun_at"], postgresql_where=sa.text("way = 'sms'")
    )


def _create_message_stop() -> None:
    op.create_table(
        "message_stop",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("staff_id", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("resident_id", sa.Uuid(), sa.ForeignKey("resident.id"), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("stopped_at", TIME, nullable=False),
        sa.UniqueConstraint("staff_id", "kind"),
        sa.UniqueConstraint("resident_id", "kind"),
        sa.CheckConstraint("num_nonnulls(staff_id, resident_id) = 1", name="one_reader"),
    )


def _create_wechat_follower() -> None:
    op.create_table(
        "wechat_follower",
        sa.Column("openid", sa.String(), primary_key=True),
        sa.Column("is_following", sa.Boolean(), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
    )


def _create_wechat_event() -> None:
    op.create_table(
        "wechat_event",
        sa.Column("event_hash", sa.LargeBinary(), primary_key=True),
        sa.Column("received_at", TIME, nullable=False),
    )
    op.create_index(op.f("ix_wechat_event_received_at"), "wechat_event", ["received_at"])


def downgrade() -> None:
    """What was announced and sent, and which messages people ended, stays. Followers and events come again."""
    for rows, what in (
        ("SELECT count(*) FROM announcement", "announcements were made"),
        ("SELECT count(*) FROM message_delivery", "messages were sent"),
        ("SELECT count(*) FROM message_stop", "kinds of messages were ended by people"),
    ):
        if count := op.get_bind().scalar(sa.text(rows)):
            raise RuntimeError(f"{count} {what}: keep this version")
    drop_rules(RULES)
    for table in ("wechat_event", "wechat_follower", "message_stop", "message_delivery"):
        op.drop_table(table)
    op.drop_column("notice", "announcement_id")
    op.drop_table("announcement")
