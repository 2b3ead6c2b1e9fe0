"""Paths of the project's own files."""

import shlex
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MIGRATIONS = ROOT / "migrations"
OPENAPI = ROOT / "openapi" / "openapi.json"
WEB = ROOT / "web" / "dist"


def saved_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of a `make run` that is running on this machine; empty when none is."""
    file = ROOT / environ.get("ZOUFANG_DATA_DIR", ".data") / "environment"
    if not file.exists():
        return {}
    return dict(part.split("=", 1) for part in shlex.split(file.read_text()))
