"""Compare a line with what is known of its home now, and with what it was paid before. Pure functions, no database."""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from server.core.normalise import name_key
from server.core.working_days import day_of
from server.models.rosters import RosterLine
from server.rosters.parts import Part, sum_kind
from server.rosters.plans import Plan

Found = Iterator[tuple[str, dict[str, Any]]]
_ALL = 100


class AccountChange(Struct, frozen=True):
    """Who proposed the newest account, and who agreed to it."""

    by: str
    agreed: str


class ValidCertificate(Struct, frozen=True):
    number: str
    holder_name: str


class LineContext(Struct, frozen=True):
    """`line_parts` is what the line pays; `plan` is how it would be drafted now, None where nothing is owed.

    `earlier` are the home's lines that were sent before, the newest first.
    """

    line: RosterLine
    line_parts: list[Part]
    plan: Plan | None
    earlier: Sequence[RosterLine]
    source: RosterLine | None
    # Ids of other homes with a live line of the month on the same account.
    sharing: list[str]
    # Ids of members of the home who are also members of another home with a live line of the month.
    elsewhere: list[str]
    account_change: AccountChange | None
    # Ids of reports of a death that nobody has put aside.
    death_reports: list[str]
    is_stopped_by_death: bool
    has_open_proposal: bool
    found_difference_fen: int | None
    # Of the case, in the roster's month.
    certificate: ValidCertificate | None
    needs_certificate: bool
    is_first_roster: bool
    outlier_percent: int


def check_line(context: LineContext) -> Found:
    """Yield each finding of a line: its code and facts. Facts hold what a person has judged, so that more is new."""
    if context.source is not None:
        yield from _check_correction(context, context.source)
        if not context.line_parts:
            return  # nobody is paid by it
    yield from _check_people(context)
    yield from _check_account(context)
    yield from _check_reports(context)
    if context.source is None:
        yield from _check_amount(context)
        yield from _check_history(context)


def _check_people(context: LineContext) -> Found:
    line, plan = context.line, context.plan
    if plan is None:
        return
    members = {name_key(name) for name in plan.member_names}
    if name_key(line.head_name) not in members:
        yield "head_no_member", {"head": line.head_name}
    if plan.left:
        yield "beneficiary_left", {"count": len(plan.left), "members": plan.left}
    if plan.beneficiaries and not plan.left and line.people != len(plan.beneficiaries):
        yield "people_differ", {"people": line.people, "counted": len(plan.beneficiaries)}
    if context.certificate is not None and name_key(context.certificate.holder_name) != name_key(line.head_name):
        yield (
            "certificate_differs",
            {"number": context.certificate.number, "holder": context.certificate.holder_name},
        )
    elif context.certificate is None and context.needs_certificate:
        yield "certificate_missing", {}
    if plan.cases > 1:
        yield "two_cases", {"count": plan.cases}
    if context.elsewhere:
        yield "person_elsewhere", {"count": len(context.elsewhere), "members": context.elsewhere}
    if line.payee_name is None or _was_judged(context):
        return
    payee = name_key(line.payee_name)
    if payee == name_key(line.head_name):
        return
    yield "payee_not_head" if payee in members else "payee_no_member", {"payee": line.payee_name}


def _was_judged(context: LineContext) -> bool:
    """Say whether the same holder was paid before: a person judged it then."""
    line = context.line
    return any(
        earlier.payee_name == line.payee_name
        and earlier.account_index == line.account_index
        and earlier.head_name == line.head_name
        for earlier in context.earlier[:1]
    )


def _check_account(context: LineContext) -> Found:
    line, account = context.line, context.plan.account if context.plan else None
    if line.account_index is None:
        yield "no_account", {}
        return
    if context.plan is not None and (
        account is None
        or (account.index, account.holder_name, account.bank_name)
        != (line.account_index, line.payee_name, line.bank_name)
    ):
        yield "account_stale", {}
    if context.sharing:
        yield (
            "shared_account",
            {"count": len(context.sharing), "account": line.account_mask, "households": context.sharing},
        )
    before = context.source or next(iter(context.earlier), None)
    if before is None:
        return
    is_same = (before.account_index, before.payee_name) == (line.account_index, line.payee_name)
    if context.source is not None and is_same:
        yield "account_unchanged", {"why": context.source.return_reason or "–"}
    elif not is_same:
        change = context.account_change
        yield (
            "account_changed",
            {
                "before": before.account_mask,
                "after": line.account_mask,
                "by": change.by if change else "–",
                "agreed": change.agreed if change else "–",
            },
        )


def _check_reports(context: LineContext) -> Found:
    if context.is_stopped_by_death:
        yield "death_certain", {}
    elif context.death_reports:
        yield "dead", {"reports": context.death_reports}
    if context.has_open_proposal:
        yield "stop_proposed", {}
    if context.found_difference_fen is not None:
        yield "visit_differs", {"difference": context.found_difference_fen}


def _check_correction(context: LineContext, source: RosterLine) -> Found:
    """Compare with what is to be paid again by the decisions of today, and with what came back."""
    line, now = context.line, context.plan.parts if context.plan else []
    sums = tuple(sum_kind(now, kind) for kind in ("due", "arrears", "recovery"))
    if (
        source.state != "returned"
        or sorted(context.line_parts) != sorted(now)
        or sums != (line.due_fen, line.arrears_fen, line.recovery_fen)
    ):
        yield "correction_differs", {"line": line.total_fen, "now": sum(part.amount_fen for part in now)}
    if line.total_fen != source.total_fen:
        yield "correction_changed", {"line": line.total_fen, "now": source.total_fen}
    if source.paid_at is not None:
        yield "returned_late", {"on": day_of(source.paid_at).isoformat(), "stance": source.stance or ""}


def _check_amount(context: LineContext) -> Found:
    """Compare with what the decisions owe now. The sums of the line are compared with its parts as well."""
    line = context.line
    now = context.plan.parts if context.plan else []
    due_fen, arrears_fen, recovery_fen = (sum_kind(now, kind) for kind in ("due", "arrears", "recovery"))
    if line.due_fen and not due_fen:
        yield "stopped", {}
    elif sorted(context.line_parts) != sorted(now) or (line.due_fen, line.arrears_fen, line.recovery_fen) != (
        due_fen,
        arrears_fen,
        recovery_fen,
    ):
        if line.arrears_fen > arrears_fen and line.due_fen == due_fen:
            yield "arrears_twice", {"line": line.arrears_fen, "now": arrears_fen}
        else:
            yield "amount_differs", {"line": line.total_fen, "now": due_fen + arrears_fen - recovery_fen}


def _check_history(context: LineContext) -> Found:
    line = context.line
    if line.arrears_fen:
        months = sorted(part.month.isoformat() for part in context.line_parts if part.kind == "arrears")
        yield "arrears", {"arrears": line.arrears_fen, "months": len(months), "which": months}
    if line.recovery_fen:
        months = sorted(part.month.isoformat() for part in context.line_parts if part.kind == "recovery")
        yield "recovery", {"recovery": line.recovery_fen, "months": len(months), "which": months}
    if line.total_fen == 0:
        yield "recovery_whole", {}
    if not context.earlier:
        if not context.is_first_roster:
            yield "first_payment", {}
        return
    average_fen = sum(earlier.total_fen for earlier in context.earlier) // len(context.earlier)
    if abs(line.total_fen - average_fen) * _ALL > average_fen * context.outlier_percent:
        yield "outlier", {"total": line.total_fen, "average": average_fen}
