"""`pg_dump` and `pg_restore`: those on the PATH, or those of the packaged PostgreSQL where the former are too old."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from server.core.database import plain_url
from server.devserver.embedded import find_postgres_binaries
from server.devserver.processes import StartError


class ProgramFailed(Exception):
    """A program is missing or failed; the message is its last line."""


def dump_database(url: str, file: Path, *, snapshot: str) -> None:
    """Dump what the snapshot shows. Owners and rights are left out: `migrate` gives them where it is restored."""
    words = ("--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", f"--file={file}")
    _run("pg_dump", url, *words)


def restore_dump(url: str, file: Path) -> None:
    """Restore into an empty database, all of it or nothing."""
    _run("pg_restore", url, "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error", str(file))


def _run(program: str, url: str, *words: str) -> None:
    """Run it with the password in its environment: everybody may see its arguments."""
    parts = conninfo_to_dict(plain_url(url))
    password = parts.pop("password", None)
    environ = dict(os.environ) | ({"PGPASSWORD": str(password)} if password else {})
    environ = {name: value for name, value in environ.items() if not name.startswith("ZOUFANG_")}
    command = [_find(program, _server_major(url)), f"--dbname={make_conninfo('', **parts)}", *words]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603  ours
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise ProgramFailed(f"{program} failed: {lines[0] if lines else 'it does not say why'}")


def _server_major(url: str) -> int:
    with psycopg.connect(plain_url(url)) as connection:
        return connection.info.server_version // 10000


def _find(program: str, major: int) -> str:
    """Return the first whose version is not below the server's: an older one refuses to dump."""
    for path in _candidates(program):
        shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
        number = shown.rsplit(maxsplit=1)[-1].partition(".")[0] if shown.split() else ""
        if number.isdigit() and int(number) >= major:
            return path
    raise ProgramFailed(f"{program} of PostgreSQL {major} or newer is not on the PATH: install the client programs")


def _candidates(program: str) -> Iterator[str]:
    if found := shutil.which(program):
        yield found
    try:
        packaged = find_postgres_binaries() / program
    except StartError:
        return
    if packaged.exists():
        yield str(packaged)
