"""The hash of a line and of a roster, by which what is sent is what was checked."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from server.core.canonical import content_hash
from server.core.errors import Problem
from server.core.log import log
from server.models.rosters import Roster, RosterLine
from server.rosters.parts import Part


def hash_line(line: RosterLine, parts: Sequence[Part]) -> str:
    """Return the hash of all that a line says. The account counts by its index, so that no hash reveals it."""
    return content_hash(
        {
            "reference": line.reference,
            "program": line.program,
            "month": line.month,
            "household": line.household_id,
            "case": line.case_id,
            "area": line.area_code,
            "head": line.head_name,
            "beneficiaries": line.beneficiaries,
            "people": line.people,
            "payee": line.payee_name,
            "bank": line.bank_name,
            "account": line.account_index.hex() if line.account_index else None,
            "due": line.due_fen,
            "arrears": line.arrears_fen,
            "recovery": line.recovery_fen,
            "total": line.total_fen,
            "ground": line.ground,
            "source": line.source_line_id,
            "parts": sorted((part.month.isoformat(), part.kind, part.amount_fen, part.cause) for part in parts),
        }
    )


def hash_roster(lines: Sequence[RosterLine]) -> str:
    return content_hash([line.hash for line in lines])


def freeze(roster: Roster, lines: Sequence[RosterLine], parts: Mapping[UUID, Sequence[Part]]) -> None:
    """Write the hash of each line, and the sums and the hash of the roster."""
    for line in lines:
        line.hash, line.state = hash_line(line, parts.get(line.id, [])), "frozen"
    roster.homes, roster.people = len(lines), sum(line.people for line in lines)
    roster.total_fen, roster.lines_hash = sum(line.total_fen for line in lines), hash_roster(lines)


def find_altered(roster: Roster, lines: Sequence[RosterLine], parts: Mapping[UUID, Sequence[Part]]) -> list[str]:
    """Return what differs from the roster as it was frozen: references, and `total` or `lines` of the whole."""
    altered = [
        line.reference
        for line in lines
        if line.hash != hash_line(line, parts.get(line.id, []))
        or line.total_fen != sum(part.amount_fen for part in parts.get(line.id, []))
    ]
    if (roster.homes, roster.people, roster.total_fen) != (
        len(lines),
        sum(line.people for line in lines),
        sum(line.total_fen for line in lines),
    ):
        altered.append("total")
    if roster.lines_hash != hash_roster(lines):
        altered.append("lines")
    return altered


def require_unaltered(roster: Roster, lines: Sequence[RosterLine], parts: Mapping[UUID, Sequence[Part]]) -> None:
    """Raise `roster.altered` unless every line is as it was checked."""
    altered = find_altered(roster, lines, parts)
    if altered:
        log.error("roster.altered", roster=str(roster.id), what=altered[:20])
        raise Problem("roster.altered")
