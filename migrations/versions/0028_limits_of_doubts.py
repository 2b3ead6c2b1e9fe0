"""Limits of doubts that were constants of the code, and how far apart two homes behind one gate may be registered

Revision: 0028, after 0027
"""

from migrations.area_rules import drop_rules, write_rules

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

RULES = {
    "visit.same_spot_homes_m": (75, "project default: two homes behind one gate, each registered by a phone"),
    "visit.repeated_fix_s": (60, "WeChat hands out a fix again for 30 s: within the same minute it is normal"),
    "photo.after_receipt_min": (5, "project default: as far as a phone's clock may be off"),
    "answers.school_from_age": (5, "义务教育法 §11, with room for early starters"),
    "answers.school_until_age": (
        18,
        "义务教育法 §2 and §11: nine years from the age of six, with room for late starters",
    ),
    "answers.grown_up_age": (18, "民法典 §17"),
    "answers.work_from_age": (16, "劳动法 §15"),
}


def upgrade() -> None:
    write_rules(RULES)


def downgrade() -> None:
    drop_rules(RULES)
