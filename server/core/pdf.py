"""Printed sheets in Chinese as PDF: notices, minutes, posters. The sheets stand in `printed/`, one file each.

Facts go in as JSON and are set as text, so that nothing a person typed is read as markup. The font comes
with the program; a sheet of the same facts is the same bytes.
"""

import io
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from server.core.threads import run_in_thread

_SHEETS = Path(__file__).parent / "printed"
PDF = "application/pdf"


class Notice(Struct):
    """`number` is the sheet's own; `rows` is a table under `columns`, or empty."""

    title: str
    number: str
    to: str
    paragraphs: list[str]
    office: str
    date: str
    columns: list[str] = []
    rows: list[list[str]] = []
    footer: str = ""


class Poster(Struct):
    """`qr` is the SVG of where to object."""

    title: str
    subtitle: str
    intro: str
    rows: list[list[str]]
    objections: str
    qr: str
    office: str
    date: str
    amount_heading: str = "拟保障金额（元/月）"


async def render_notice(notice: Notice) -> bytes:
    return await run_in_thread(_print, "notice", notice)


async def render_poster(poster: Poster) -> bytes:
    return await run_in_thread(_print, "poster", poster)


def render_qr_svg(text: str) -> str:
    """As SVG; a quarter of it may be torn or wet and it still reads."""
    import segno  # noqa: PLC0415  few print, and every process would pay for it

    out = io.BytesIO()
    segno.make(text, error="q", micro=False).save(out, kind="svg", border=2, xmldecl=False)
    return out.getvalue().decode()


def _print(sheet: Literal["notice", "poster"], facts: Struct) -> bytes:
    import typst  # noqa: PLC0415  7 MB, and its fonts 20 MB more

    fonts = resources.files("pylopdf_fonts_zh_cn")
    printed = typst.compile(
        str(_SHEETS / f"{sheet}.typ"),
        root=str(_SHEETS),
        font_paths=[str(fonts)],
        ignore_system_fonts=True,
        sys_inputs={"facts": msgspec.json.encode(facts).decode()},
        format="pdf",
    )
    assert isinstance(printed, bytes)
    return printed


def format_date_zh(on: date) -> str:
    return f"{on.year}年{on.month}月{on.day}日"
