"""The document as it is served: the file of the repository, which a test holds to the routes."""

from typing import Any

from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin

from server.core.paths import OPENAPI

TAGS = {
    "sign-in": "Sign in and out, for staff and residents alike; the devices of a person.",
    "field": "What a phone exchanges: sync of its collections, day plans, photos.",
    "uploads": "Photos in pieces, by tus 1.0.0.",
    "notices": "What a person was told of, and by which way they may be.",
    "desk": "Review at the desk: queue, leases, decisions, photos that failed, retention, the caseload.",
    "cases": "Applications and what follows: papers, steps, hearings, amounts, cross-checks, households.",
    "rosters": "Monthly rosters, their findings, the bank's files and answers, and what was paid.",
    "aid": "Linked aid in money and goods: batches, what homes were handed, findings, the report.",
    "postings": "Public postings and standing lists, and the objections to them.",
    "complaints": "Complaints, with their reporter protected.",
    "spot checks": "Plans, draws that anyone can repeat, and the comparison with the first visit.",
    "workload": "Which visits fall due, who makes them, and what can't be made.",
    "overview": "Counts by area and caseworker, findings, points on a map; each also as a file.",
    "directory": "What a desk looks up: areas, homes, checklists, the audit trail.",
    "staff": "Accounts of staff: roles by area, one-time links, slips; who leaves.",
    "imports": "Files that an office brings: preview, confirm, undo.",
    "rules": "The numbers of the domain by area and date.",
    "resident": "What a household sees of its own cases.",
    "public": "What anyone may ask without signing in.",
    "health": "Whether the process lives and can work; metrics.",
}


class KeptDocument(JsonRenderPlugin):
    """Litestar's own has neither the examples nor the schemas that msgspec makes."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        del request, openapi_schema
        return OPENAPI.read_bytes()
