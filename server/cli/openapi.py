"""The OpenAPI description, generated from the routes and kept in the repository."""

from typing import Any

import msgspec

from server.app import create_app
from server.core.paths import OPENAPI
from server.core.settings import Settings


def describe() -> dict[str, Any]:
    app = create_app(Settings())
    schema: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(app.openapi_schema.to_schema()))
    return schema


def write_openapi(*, check: bool) -> bool:
    """Write the file, or with `check` say whether it is as it should be."""
    text = msgspec.json.format(msgspec.json.encode(describe(), order="sorted"), indent=1).decode() + "\n"
    if check:
        return OPENAPI.exists() and OPENAPI.read_text() == text
    OPENAPI.parent.mkdir(exist_ok=True)
    OPENAPI.write_text(text)
    return True
