"""Files for a bank, by a form that is data: CSV, fixed width or XLSX, UTF-8 or GBK, with control sums.

Each file is read back before anything is sent: its sum and its number of lines are those of the roster, or there is
no file. Where the bank gives a key, its files leave sealed to it.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from server.core.age_files import AgeWriter, read_public_key
from server.core.errors import Problem
from server.core.money import format_yuan
from server.core.spreadsheet_reader import read_sheets
from server.core.spreadsheets import write_xlsx
from server.policy.values import BankForm, FileColumn

_LINE_END = "\r\n"
_NUMBER = re.compile(r"[0-9]+(\.[0-9]{1,2})?")


class FileLine(msgspec.Struct, frozen=True):
    position: int
    reference: str
    payee: str
    account: str
    bank: str
    note: str
    fen: int


class FileSums(msgspec.Struct, frozen=True):
    lines: int
    total_fen: int


def build_files(form: BankForm, lines: Sequence[FileLine]) -> list[bytes]:
    """Return the files of these lines, none longer than the bank takes. Raise `roster.file_unfit`. Blocks."""
    chunks = [lines[start : start + form.most_lines] for start in range(0, len(lines), form.most_lines)]
    files = [_build_file(form, chunk) for chunk in chunks]
    read = [read_sums(form, content) for content in files]
    sums = FileSums(sum(part.lines for part in read), sum(part.total_fen for part in read))
    if sums != FileSums(len(lines), sum(line.fen for line in lines)):
        raise _refuse("文件合计与名册不符", "the file's sums are not those of the roster")
    return files


def seal_file(form: BankForm, content: bytes) -> bytes:
    """Return the file as only the bank opens it, where it gave a key. Blocks."""
    if not form.public_key:
        return content
    sealed = io.BytesIO()
    writer = AgeWriter(sealed, read_public_key(form.public_key.encode()))
    writer.write(content)
    writer.finish()
    return sealed.getvalue()


def _build_file(form: BankForm, lines: Sequence[FileLine]) -> bytes:
    if form.format == "xlsx":
        rows = [[_xlsx_cell(column, line) for column in form.columns] for line in lines]
        return write_xlsx("名单", [column.heading or column.field for column in form.columns], rows)
    write = _fixed_line if form.format == "fixed" else _separated_line
    texts = []
    if form.control != "none":
        total_fen = sum(line.fen for line in lines)
        texts.append(f"{len(lines)}|{total_fen if form.control == 'fen' else format_yuan(total_fen)}")
    if form.format == "csv" and form.headings:
        texts.append(_separate(form, [column.heading or column.field for column in form.columns]))
    texts += [write(form, line) for line in lines]
    return _encode(form, "".join(text + _LINE_END for text in texts))


def _value(column: FileColumn, line: FileLine) -> str:
    values = {
        "position": str(line.position),
        "reference": line.reference,
        "payee": line.payee,
        "account": line.account,
        "bank": line.bank,
        "note": line.note,
        "fen": str(line.fen),
        "yuan": format_yuan(line.fen),
        "constant": column.constant,
    }
    return values[column.field]


def _xlsx_cell(column: FileColumn, line: FileLine) -> str | int | Decimal:
    """Money is a number with two decimals, exact; an account is text, because Excel rounds it."""
    if column.field == "yuan":
        return Decimal(line.fen).scaleb(-2)
    return line.fen if column.field == "fen" else _value(column, line)


def _separated_line(form: BankForm, line: FileLine) -> str:
    values = [_value(column, line) for column in form.columns]
    if form.separator != "," and any(form.separator in value or '"' in value for value in values):
        raise _refuse(f"内容含分隔符：{line.reference}", f"a value holds the separator: {line.reference}")
    return _separate(form, values)


def _separate(form: BankForm, values: Sequence[str]) -> str:
    if form.separator != ",":
        return form.separator.join(values)
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="").writerow(values)
    return out.getvalue()


def _fixed_line(form: BankForm, line: FileLine) -> str:
    return "".join(_pad(form, column, _value(column, line), line) for column in form.columns)


def _pad(form: BankForm, column: FileColumn, value: str, line: FileLine) -> str:
    """Fill a value up to the width of its column, which counts bytes: a Chinese character in GBK takes two."""
    free = (column.width or 0) - len(_encode(form, value))
    if free < 0:
        name = column.heading or column.field
        raise _refuse(f"{name}过长：{line.reference}", f"{name} is too long: {line.reference}")
    return column.pad * free + value if column.align == "right" else value + column.pad * free


def _encode(form: BankForm, text: str) -> bytes:
    try:
        return text.encode(form.encoding)
    except UnicodeEncodeError as error:
        letter = text[error.start]
        raise _refuse(f"银行编码中没有“{letter}”字", f"the bank's encoding lacks {letter}") from None


def read_sums(form: BankForm, content: bytes) -> FileSums:
    """Read a file back: the number of its lines and the sum of its amounts. Raise `roster.file_unfit`."""
    place = next((place for place, column in enumerate(form.columns) if column.field in {"fen", "yuan"}), None)
    if place is None:
        raise _refuse("银行格式没有金额列", "the bank's form has no amount")
    texts = [row[place] for row in _read_rows(form, content)]
    return FileSums(len(texts), sum(_to_fen(form.columns[place], text) for text in texts))


def _read_rows(form: BankForm, content: bytes) -> Iterable[Sequence[str]]:
    if form.format == "xlsx":
        return [[cell.text for cell in row.cells] for row in read_sheets(content, "roster.xlsx")[0].rows[1:]]
    lines = [line for line in content.split(_LINE_END.encode()) if line]
    lines = lines[(form.control != "none") + (form.format == "csv" and form.headings) :]
    if form.format == "fixed":
        return [_cut(form, line) for line in lines]
    texts = [line.decode(form.encoding) for line in lines]
    return csv.reader(texts) if form.separator == "," else [text.split(form.separator) for text in texts]


def _cut(form: BankForm, line: bytes) -> list[str]:
    cells, at = [], 0
    for column in form.columns:
        width = column.width or 0
        cells.append(line[at : at + width].decode(form.encoding))
        at += width
    return cells


def _to_fen(column: FileColumn, text: str) -> int:
    bare = text.strip().lstrip(column.pad) or "0"
    if not _NUMBER.fullmatch(bare):
        raise _refuse(f"金额无法读回：{text}", f"an amount can't be read back: {text}")
    return int(Decimal(bare) * (100 if column.field == "yuan" else 1))


def _refuse(zh: str, en: str) -> Problem:
    return Problem("roster.file_unfit", why=zh, why_en=en)
