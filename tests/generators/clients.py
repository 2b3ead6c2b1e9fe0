"""Linters and client generators over openapi.json: `make contract`. Not part of `make test`, since they are 200 MB.

Each client is generated, compiled and signs in to a running server.
"""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from server.core.paths import OPENAPI, ROOT
from server.demo.staff import DEMO_PASSWORDS

HERE = Path(__file__).resolve().parent
TOOLS = Path(os.environ["ZOUFANG_CONTRACT_TOOLS"])
NODE = ROOT / ".venv" / "bin" / "node"


def run(*command: object, **options: Any) -> str:
    environ = os.environ | {"PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [str(item) for item in command], capture_output=True, text=True, env=environ, check=False, **options
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


@pytest.fixture
def due(county):
    return next(assignment for assignment in county.assignments if assignment.kind == "intake")


def test_redocly_finds_no_error():
    run(TOOLS / "node_modules/.bin/redocly", "lint", OPENAPI)


def test_spectral_finds_no_error():
    run(
        TOOLS / "node_modules/.bin/spectral",
        "lint",
        OPENAPI,
        "--ruleset",
        HERE / "spectral.yaml",
        "--fail-severity=error",
    )


def test_a_python_client_signs_in(live, due, tmp_path):
    python = TOOLS / "venv/bin/python"
    result = run(
        *(python, "-m", "openapi_python_client", "generate", "--path", OPENAPI, "--meta", "none"),
        *("--output-path", tmp_path / "zoufang", "--config", HERE / "python-client.yaml"),
    )
    assert "WARNING" not in result
    run(python, "-m", "compileall", "-q", tmp_path / "zoufang")
    (tmp_path / "sign_in.py").write_text((HERE / "sign_in.py").read_text())
    login = (live.url, due.caseworker_login, DEMO_PASSWORDS["caseworker"])
    assert run(python, "sign_in.py", *login, cwd=tmp_path).strip()


def test_a_typescript_client_signs_in(live, due, tmp_path):
    (tmp_path / "node_modules").symlink_to(TOOLS / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    output = f"{{ target: 'client.ts', client: 'fetch', mode: 'single', baseUrl: '{live.url}' }}"
    config = f"export default {{ zoufang: {{ input: '{OPENAPI}', output: {output} }} }};"
    (tmp_path / "orval.config.mjs").write_text(config)
    run("node_modules/.bin/orval", "--config", "orval.config.mjs", cwd=tmp_path)
    (tmp_path / "signIn.ts").write_text((HERE / "signIn.ts").read_text())
    strict = ("--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom,dom.iterable")
    compiled = ("--outDir", "out", "--rewriteRelativeImportExtensions", "--skipLibCheck")
    run("node_modules/.bin/tsc", *strict, *compiled, "signIn.ts", cwd=tmp_path)
    login = (due.caseworker_login, DEMO_PASSWORDS["caseworker"])
    assert run(NODE, "out/signIn.js", *login, cwd=tmp_path).strip()
