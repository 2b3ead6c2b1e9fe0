"""A character that the font lacks is named and refused before a paper is printed, and spelt out on a visit's sheet."""

import msgspec
import pytest

from server.core import pdf
from server.core.errors import Problem
from server.core.fonts import find_missing, spell_out_missing
from tests.pdf import words

RARE = "𠮷𮧵"
NOTICE = pdf.Notice(title="通知", number="1", to="王家", paragraphs=["内容"], office="民政办", date="今日")
POSTER = pdf.Poster(
    title="公示",
    subtitle="",
    intro="",
    rows=[["王家", "3", "A", "800"]],
    objections="",
    qr=pdf.render_qr_svg("x"),
    office="民政办",
    date="今日",
)
SLIP = pdf.Slip(name="王家", login="w", address="https://x.test", qr=pdf.render_qr_svg("x"), valid_until="明日")


@pytest.mark.parametrize(
    ("render", "facts"),
    [
        (pdf.render_notice, NOTICE),
        (pdf.render_poster, POSTER),
        (pdf.render_sheet_of_slips, pdf.Slips(slips=[SLIP])),
    ],
)
async def test_each_paper_refuses_a_rare_character_and_names_it(render, facts):
    plain = await render(facts)
    assert "王家" in words(plain)
    for character in RARE:
        with pytest.raises(Problem) as refused:
            await render(_with(facts, f"王{character}"))
        assert refused.value.code == "print.characters_missing"
        assert refused.value.status == 422
        assert refused.value.facts == {"characters": character, "numbers": f"U+{ord(character):04X}"}


def _with(facts, name):
    text = msgspec.json.encode(facts).decode().replace("王家", name)
    return msgspec.json.decode(text, type=type(facts))


@pytest.mark.parametrize(
    "text",
    [
        "王㛃 㐀䶵 䲟 欧阳·买买提 Ω é Ж",
        "12.5% − ≤ → №①（）「」……——￥800",
        "换行\n\t和\u200b零宽、\u3000全角空格、选形\ufe0f",
    ],
)
def test_what_the_font_has_and_what_is_not_drawn_is_not_refused(text):
    assert find_missing(text) == ""


@pytest.mark.parametrize("character", ["𠮷", "𮧵", "\U00020000", "\U0002a700", "\U00030000", "😀", "ئ", "བ"])
def test_a_character_of_another_plane_or_script_is_found_once(character):
    assert find_missing(f"王{character}和{character}") == character


def test_a_visits_sheet_spells_a_rare_character_out_instead_of_failing():
    facts = {"facts": [["户主", "王𠮷"]], "entries": 3, "seal": None}
    assert spell_out_missing(facts) == {"facts": [["户主", "王〔U+20BB7〕"]], "entries": 3, "seal": None}
    assert find_missing("王〔U+20BB7〕") == ""
