"""`make bench`: one table, each row with what it is compared with in the same run."""

import os
import platform
from pathlib import Path

import click
import psutil
from rich.console import Console
from rich.table import Table

from bench import findings, footprint, frauds, month, neighbours, photos, review, sync, uploads
from bench.rows import Row
from server.core.clock import today

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
    "footprint": footprint.measure,
}


@click.command()
@click.option("--only", multiple=True, type=click.Choice(sorted(PARTS)), help="These parts alone.")
@click.option("--seconds", default=20.0, show_default=True, help="Measured time of each loop.")
@click.option("--write/--no-write", default=False, help="Write what was measured into bench/RESULTS.md.")
def main(only: tuple[str, ...], seconds: float, write: bool) -> None:
    every: list[Row] = []
    for name, measure in PARTS.items():
        if only and name not in only:
            continue
        rows: list[Row] = []
        for row in measure(seconds):
            rows.append(row)
            click.echo(f"{row.what}: {row.measured}", err=True)
        every += rows
        if write:  # part by part, so that a later part that fails takes nothing with it
            _write(name, rows, seconds)
    _show(every)


def _show(rows: list[Row]) -> None:
    table = Table(title="zoufang, measured")
    for heading in ("what", "measured", "beside it", "ratio", "aim"):
        table.add_column(heading)
    for row in rows:
        table.add_row(row.what, row.measured, row.beside, row.ratio, row.aim)
    Console(width=160).print(table)


HEAD = """# Measured

Client, server and database share one machine, and the machine is shared: read the ratios, not the rates. Each part
says when and on what it was measured last; `python -m bench --only PART --write` measures it anew.
"""


def _write(name: str, rows: list[Row], seconds: float) -> None:
    """Put one part's table in its place; the other parts' tables stay."""
    parts = _parts_written() | {name: _markdown(rows, seconds)}
    result = "".join(f"\n## {part}\n\n{parts[part].strip()}\n" for part in PARTS if part in parts)
    RESULTS.write_text(HEAD + result)


def _parts_written() -> dict[str, str]:
    _, *sections = RESULTS.read_text().split("\n## ")
    return dict(section.split("\n", 1) for section in sections)


def _markdown(rows: list[Row], seconds: float) -> str:
    head = (
        f"{today().isoformat()}: {os.cpu_count()} cores, {psutil.virtual_memory().total >> 30} GiB, "
        f"{platform.machine()}, Python {platform.python_version()}, PostgreSQL 18 embedded, loops of {seconds:g} s.\n\n"
        "| what | measured | beside it, same run | ratio | aim |\n|---|---|---|---|---|\n"
    )
    return head + "".join(f"| {r.what} | {r.measured} | {r.beside} | {r.ratio} | {r.aim} |\n" for r in rows)


if __name__ == "__main__":
    main(prog_name="python -m bench")
