"""The version of the program, as pyproject.toml gives it."""

import tomllib

from server.core.paths import ROOT

VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
