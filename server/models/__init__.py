"""Every table: the shared language of the rooms above. Importing this package registers them all."""

from server.core.database import Base
from server.models import (
    areas,
    audit,
    cases,
    checklists,
    complaints,
    evidence,
    feed,
    hearings,
    households,
    installation,
    people,
    postings,
    proposals,
    review,
    uploads,
    visits,
    workload,
)

__all__ = [
    "Base",
    "areas",
    "audit",
    "cases",
    "checklists",
    "complaints",
    "evidence",
    "feed",
    "hearings",
    "households",
    "installation",
    "people",
    "postings",
    "proposals",
    "review",
    "uploads",
    "visits",
    "workload",
]
