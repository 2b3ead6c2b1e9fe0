"""`make bench`: one table, each row with what it is compared with in the same run."""

import os
import platform
import sys
from datetime import date
from pathlib import Path

import click
import psutil
from rich.console import Console
from rich.table import Table

from bench import findings, frauds, month, neighbours, photos, review, sync, uploads
from bench.rows import Row

RESULTS = Path(__file__).parent / "RESULTS.md"
PARTS = {
    "sync": sync.measure,
    "uploads": uploads.measure,
    "photos": photos.measure,
    "findings": findings.measure,
    "neighbours": neighbours.measure,
    "review": review.measure,
    "frauds": frauds.measure,
    "month": month.measure,
}


@click.command()
@click.option("--only", multiple=True, type=click.Choice(sorted(PARTS)), help="These parts alone.")
@click.option("--seconds", default=20.0, show_default=True, help="Measured time of each loop.")
@click.option("--write/--no-write", default=False, help="Write bench/RESULTS.md.")
def main(only: tuple[str, ...], seconds: float, write: bool) -> None:
    rows: list[Row] = []
    for name, measure in PARTS.items():
        if not only or name in only:
            for row in measure(seconds):
                rows.append(row)
                click.echo(f"{row.what}: {row.measured}", err=True)
    _show(rows)
    if write:
        RESULTS.write_text(_markdown(rows))


def _show(rows: list[Row]) -> None:
    table = Table(title="zoufang, measured")
    for heading in ("what", "measured", "beside it", "ratio", "aim"):
        table.add_column(heading)
    for row in rows:
        table.add_row(row.what, row.measured, row.beside, row.ratio, row.aim)
    Console(width=160).print(table)


def _markdown(rows: list[Row]) -> str:
    head = (
        f"# Measured on {date.today().isoformat()}\n\n"  # noqa: DTZ011
        f"{os.cpu_count()} cores, {psutil.virtual_memory().total >> 30} GiB, {platform.machine()}, "
        f"Python {platform.python_version()}, PostgreSQL 18 embedded, {' '.join(sys.argv[1:]) or 'all parts'}.\n"
        "Client, server and database share the machine, and the machine is shared: read the ratios, not the rates.\n\n"
        "| what | measured | beside it, same run | ratio | aim |\n|---|---|---|---|---|\n"
    )
    return head + "".join(f"| {r.what} | {r.measured} | {r.beside} | {r.ratio} | {r.aim} |\n" for r in rows)


if __name__ == "__main__":
    main(prog_name="python -m bench")
