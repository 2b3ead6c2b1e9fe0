"""Checks of people: shared phones and WeChat accounts, and relatives on the staff."""

from uuid import UUID

from server.core.normalise import name_key
from server.review.check_context import CheckContext
from server.review.checks import DetectedFindings


def one_phone_for_two(context: CheckContext) -> DetectedFindings:
    for staff_id in _on_authors_phone(context):
        yield None, {"staffId": str(staff_id)}


def _on_authors_phone(context: CheckContext) -> list[UUID]:
    """Return who attested this visit on the phone that recorded it; nobody's for one that was entered from paper."""
    if context.visit.typed_by is not None:
        return _on_one_phone(context)
    own = context.devices.get(context.visit.device_id)
    found: list[UUID] = []
    for attestation in context.attestations:
        other = context.devices.get(attestation.device_id)
        if attestation.staff_id == context.visit.author_id or own is None or other is None:
            continue
        if own.id == other.id or (own.hardware_id is not None and own.hardware_id == other.hardware_id):
            found.append(attestation.staff_id)
    return found


def _on_one_phone(context: CheckContext) -> list[UUID]:
    """Return who attested a visit from paper on a phone on which another investigator had attested it."""
    seen: set[UUID | str] = set()
    found: list[UUID] = []
    for attestation in sorted(context.attestations, key=lambda attestation: attestation.received_at):
        device = context.devices.get(attestation.device_id)
        if device is None:
            continue
        if {device.id, device.hardware_id} & seen:
            found.append(attestation.staff_id)
        seen |= {device.id, device.hardware_id or device.id}
    return found


def phone_shared(context: CheckContext) -> DetectedFindings:
    """Report other staff who lately used the author's phone, except those that `one_phone_for_two` reports."""
    others = set(context.other_phone_users) - set(_on_authors_phone(context))
    if others:
        yield (
            None,
            {
                "people": len(others) + 1,
                "days": context.setting("visit.shared_phone_days"),
                "staffIds": sorted(str(staff_id) for staff_id in others),
            },
        )


def wechat_shared(context: CheckContext) -> DetectedFindings:
    """Report a WeChat account that several staff lately signed in with; an account belongs to one person at a time."""
    if context.wechat_sharers:
        yield (
            None,
            {
                "people": len(context.wechat_sharers),
                "days": context.setting("visit.shared_phone_days"),
                "staffIds": [str(staff_id) for staff_id in context.wechat_sharers],
            },
        )


def wechat_also_resident(context: CheckContext) -> DetectedFindings:
    """Report an investigator whose account is also bound as a resident."""
    for staff_id in context.resident_investigators:
        yield None, {"staffId": str(staff_id)}


def relative_on_staff(context: CheckContext) -> DetectedFindings:
    if context.household.relative_on_staff:
        yield None, {}


def relative_not_declared(context: CheckContext) -> DetectedFindings:
    if context.answers.get("staff_relative") is True and not context.household.relative_on_staff:
        yield None, {}


def account_of_another(context: CheckContext) -> DetectedFindings:
    """Report an account whose holder is no member of the household. Facts hold no names."""
    holder = context.account_holder
    if holder is not None and name_key(holder) not in {name_key(member.name) for member in context.members}:
        yield None, {}
