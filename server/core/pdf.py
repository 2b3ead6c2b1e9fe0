"""PDFs in Chinese: notices, minutes, posters and blank forms, from the Typst templates in `printed/`.

Facts are passed as JSON and set as text, so nothing that a person typed is read as markup. The font is a dependency;
the same facts give the same bytes. A character that the font lacks is refused before anything is printed
(`print.characters_missing`): an empty box in a name would make the paper worthless.
"""

import io
from datetime import date
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from server.core import fonts
from server.core.errors import Problem
from server.core.threads import run_in_thread

_TEMPLATES = Path(__file__).parent / "printed"
PDF = "application/pdf"


class Notice(Struct):
    """`number` is the document's own; `rows` is a table under `columns`, or empty; `qr` is the SVG of a QR code."""

    title: str
    number: str
    to: str
    paragraphs: list[str]
    office: str
    date: str
    columns: list[str] = []
    rows: list[list[str]] = []
    footer: str = ""
    qr: str = ""


class Poster(Struct):
    """`qr` is the SVG of the QR code that links to the form for objections."""

    title: str
    subtitle: str
    intro: str
    rows: list[list[str]]
    objections: str
    qr: str
    office: str
    date: str
    amount_heading: str = "拟保障金额（元/月）"


class Slip(Struct):
    """`qr` is the SVG of the QR code of `address`, a link that works once."""

    name: str
    login: str
    address: str
    qr: str
    valid_until: str


class Slips(Struct):
    slips: list[Slip]


class FormQuestion(Struct):
    """`choices` are boxes to tick, `columns` with `rows` a table, `lines` empty lines, `unit` one short line."""

    number: str
    label: str
    required: bool
    note: str
    choices: list[str]
    columns: list[str]
    rows: list[str]
    lines: int
    unit: str


class FormSection(Struct):
    title: str
    questions: list[FormQuestion]


class BlankForm(Struct):
    """A form to fill in by hand. `head` and `signatures` are names of empty cells; `edition` stands on every page."""

    title: str
    intro: str
    edition: str
    head: list[str]
    sections: list[FormSection]
    signatures: list[str]
    closing: str


async def render_notice(notice: Notice) -> bytes:
    return await run_in_thread(_render, "notice", notice)


async def render_poster(poster: Poster) -> bytes:
    return await run_in_thread(_render, "poster", poster)


async def render_sheet_of_slips(slips: Slips) -> bytes:
    return await run_in_thread(_render, "slips", slips)


async def render_blank_form(form: BlankForm) -> bytes:
    return await run_in_thread(_render, "blank_form", form)


def render_qr_svg(text: str) -> str:
    """Render a QR code that stays readable when a quarter of it is damaged (error correction level Q)."""
    import segno  # noqa: PLC0415  only printing needs it

    out = io.BytesIO()
    segno.make(text, error="q", micro=False).save(out, kind="svg", border=2, xmldecl=False)
    return out.getvalue().decode()


def _render(template: Literal["notice", "poster", "slips", "blank_form"], facts: Struct) -> bytes:
    import typst  # noqa: PLC0415  7 MB, and 20 MB for its fonts

    if missing := fonts.find_missing_in(msgspec.to_builtins(facts)):
        numbers = ", ".join(f"U+{ord(character):04X}" for character in missing)
        raise Problem("print.characters_missing", characters=missing, numbers=numbers)
    pdf = typst.compile(
        str(_TEMPLATES / f"{template}.typ"),
        root=str(_TEMPLATES),
        font_paths=[str(fonts.FOLDER)],
        ignore_system_fonts=True,
        sys_inputs={"facts": msgspec.json.encode(facts).decode()},
        format="pdf",
    )
    assert isinstance(pdf, bytes)
    return pdf


def format_date_zh(on: date) -> str:
    return f"{on.year}年{on.month}月{on.day}日"
