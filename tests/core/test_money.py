import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.core.money import LARGEST_FEN, format_fen, parse_amount


@pytest.mark.parametrize(
    ("fen", "shown"),
    [
        (0, "¥0.00"),
        (5, "¥0.05"),
        (123456, "¥1,234.56"),
        (-3345900, "-¥33,459.00"),
        (-1, "-¥0.01"),
        (10**11, "¥1,000,000,000.00"),
    ],
)
def test_fen_are_shown_as_yuan(fen, shown):
    assert format_fen(fen) == shown


@pytest.mark.parametrize(
    ("entered", "fen"),
    [
        ("42288", 42_288_00),
        ("65.06万", 650_600_00),
        ("¥1,234.56", 1_234_56),
        ("７，１３６，５１３元", 7_136_513_00),
        ("-33,459", -33_459_00),
        ("−254", -254_00),
        ("¥-5", -5_00),
        ("人民币 360 元整", 360_00),
        ("1.5亿", 150_000_000_00),
        ("3千", 3_000_00),
        ("20百万", 20_000_000_00),
        ("1.500", 1_50),
        ("0", 0),
    ],
)
def test_plainly_written_amounts_are_read_without_doubt(entered, fen):
    assert parse_amount(entered).fen == fen
    assert parse_amount(entered).warnings == ()


@pytest.mark.parametrize(
    ("entered", "fen", "doubt"),
    [
        ("107、47万", 1_074_700_00, "mark_as_point"),
        ("3。5", 3_50, "mark_as_point"),
        ("42288、", 42_288_00, "trailing_mark"),
        ("42288、元", 42_288_00, "trailing_mark"),
        ("36,960.", 36_960_00, "trailing_mark"),
        ("36 960", 36_960_00, "inner_space"),
        ("约65万", 650_000_00, "approximate"),
        ("300多元", 300_00, "approximate"),
        ("20多万", 200_000_00, "approximate"),
    ],
)
def test_oddly_written_amounts_are_read_and_doubted(entered, fen, doubt):
    parsed = parse_amount(entered)
    assert (parsed.fen, parsed.warnings, parsed.entered) == (fen, (doubt,), entered)


@pytest.mark.parametrize(
    ("entered", "doubt"),
    [
        ("", "empty"),
        ("　", "empty"),
        ("1、234", "unclear_mark"),
        ("53、85、36960", "unclear_mark"),
        ("1.5、5", "unclear_mark"),
        ("12,3456", "odd_grouping"),
        ("1,23", "odd_grouping"),
        ("1.2.3", "unreadable"),
        ("1O7", "unreadable"),
        ("三百六十", "unreadable"),
        ("--5", "unreadable"),
        ("1万2千", "unreadable"),
        ("1e5", "unreadable"),
        ("nan", "unreadable"),
        ("9" * 5000, "unreadable"),
        ("1.234", "below_a_fen"),
        ("0.0000001", "below_a_fen"),
        ("1.00000000000000000000000000000000001", "below_a_fen"),
        ("1.23456789万", "below_a_fen"),
        ("99999999亿", "too_large"),
    ],
)
def test_what_has_no_one_reading_gets_no_amount(entered, doubt):
    parsed = parse_amount(entered)
    assert parsed.fen is None
    assert doubt in parsed.warnings
    assert parsed.entered == entered


@settings(deadline=None)  # a busy machine is no failure
@given(st.integers(-LARGEST_FEN, LARGEST_FEN))
def test_every_amount_shown_reads_back_without_doubt(fen):
    parsed = parse_amount(format_fen(fen))
    assert (parsed.fen, parsed.warnings) == (fen, ())


@settings(deadline=None)  # a busy machine is no failure
@given(st.text(alphabet="0123456789.,、。 -¥元万亿约多", max_size=80))
def test_no_text_breaks_the_reader_and_no_amount_is_less_than_whole_fen(text):
    parsed = parse_amount(text)
    assert parsed.entered == text
    assert isinstance(parsed.fen, int) or parsed.warnings
