"""Urban or rural dibao: a field of the case, proposed from papers and confirmed by an officer.

The village code proposes and decides nothing: there are villagers' committees in a main urban zone and residents'
committees in a village zone. A calculation uses what an officer has confirmed.
"""

from typing import Any, Literal, NamedTuple

from server.benefits.programmes import Programme, as_programme, programme_of_area
from server.core.errors import Fault, Problem
from server.models.cases import CaseFile

Basis = Literal["household_register", "village_code"]


class ProposedProgramme(NamedTuple):
    programme: Programme
    basis: Basis


def propose_programme(case: CaseFile) -> ProposedProgramme:
    """Return what the applicant's household register says, else what the village code suggests."""
    if (stated := as_programme(case.stated_programme)) is not None:
        return ProposedProgramme(stated, "household_register")
    return ProposedProgramme(programme_of_area(case.area_code), "village_code")


def confirm_programme(case: CaseFile, programme: Programme | None, reason: str) -> dict[str, Any]:
    """Set the programme and return the facts of the step.

    Raises `request.invalid` without a programme, `case.programme_same`, and `case.reason_required` against the proposal
    or against what was confirmed before.
    """
    if programme is None:
        raise Problem("request.invalid", faults=[Fault("/programme", "field.missing", "programme")])
    if case.programme == programme:
        raise Problem("case.programme_same")
    proposed = propose_programme(case)
    if (case.programme is not None or programme != proposed.programme) and not reason.strip():
        raise Problem("case.reason_required")
    before, case.programme = case.programme, programme
    return {"programmeBefore": before, "proposed": proposed.programme, "basis": proposed.basis}
