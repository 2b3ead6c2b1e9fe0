"""What a reader of a printed sheet sees."""

import io

from pypdf import PdfReader


def words(pdf: bytes) -> str:
    """Return the text of all pages in reading order, without any white space."""
    return "".join("".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(pdf)).pages)
