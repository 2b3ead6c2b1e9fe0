"""Render the templates of the public site. Jinja2 escapes every value."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.core.money import format_yuan
from server.core.pdf import format_date_zh

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "templates"


def render_page(template: str, **values: Any) -> bytes:
    return _load_environment().get_template(template).render(values).encode()


@cache
def _load_environment() -> "Environment":
    # Imported by the first page, so that commands and workers start without Jinja2.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"yuan": format_yuan, "date": format_date_zh}
    return environment
