"""Who it was: phones and WeChat accounts against people, and relatives on the staff."""

from uuid import UUID

from server.review.check_context import CheckContext
from server.review.checks import DetectedFindings


def one_phone_for_two(view: CheckContext) -> DetectedFindings:
    for staff_id in _on_authors_phone(view):
        yield None, {"staffId": str(staff_id)}


def _on_authors_phone(view: CheckContext) -> list[UUID]:
    """Who attested this visit on the phone that it was made with."""
    own = view.devices.get(view.visit.device_id)
    found: list[UUID] = []
    for one in view.attestations:
        other = view.devices.get(one.device_id)
        if one.staff_id == view.visit.author_id or own is None or other is None:
            continue
        if own.id == other.id or (own.hardware_id is not None and own.hardware_id == other.hardware_id):
            found.append(one.staff_id)
    return found


def phone_shared(view: CheckContext) -> DetectedFindings:
    """The author's phone was lately used by workers beside those of whom `one_phone_for_two` tells."""
    others = set(view.others_on_phone) - set(_on_authors_phone(view))
    if others:
        yield (
            None,
            {
                "people": len(others) + 1,
                "days": view.rule("visit.shared_phone_days"),
                "staffIds": sorted(str(one) for one in others),
            },
        )


def wechat_shared(view: CheckContext) -> DetectedFindings:
    """An account stands for one worker at a time; one that was passed on, or tried for another, has served several."""
    if view.on_one_wechat:
        yield (
            None,
            {
                "people": len(view.on_one_wechat),
                "days": view.rule("visit.shared_phone_days"),
                "staffIds": [str(one) for one in view.on_one_wechat],
            },
        )


def wechat_also_resident(view: CheckContext) -> DetectedFindings:
    """A worker's account that also speaks for a family."""
    for staff_id in view.residents_too:
        yield None, {"staffId": str(staff_id)}


def relative_on_staff(view: CheckContext) -> DetectedFindings:
    if view.household.relative_on_staff:
        yield None, {}


def relative_not_declared(view: CheckContext) -> DetectedFindings:
    if view.answers.get("staff_relative") is True and not view.household.relative_on_staff:
        yield None, {}
