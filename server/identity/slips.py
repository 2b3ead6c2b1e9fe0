"""Tear-off slips for new accounts: name, login, and a QR code of the one-time link."""

from collections.abc import Sequence

from server.core.clock import CHINA
from server.core.pdf import Slip, Slips, render_qr_svg, render_sheet_of_slips
from server.identity.links import NewLink


async def render_slips(links: Sequence[NewLink], base_url: str) -> bytes:
    return await render_sheet_of_slips(Slips(slips=[_slip(link, base_url) for link in links]))


def _slip(link: NewLink, base_url: str) -> Slip:
    address = f"{base_url.rstrip('/')}/desk/set-password#{link.token}"
    expires_at = link.expires_at.astimezone(CHINA)
    return Slip(
        name=link.name,
        login=link.login,
        address=address,
        qr=render_qr_svg(address),
        valid_until=f"{expires_at:%Y-%m-%d %H:%M}",
    )
