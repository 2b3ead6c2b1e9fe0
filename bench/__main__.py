"""`make bench`: run the benchmarks and show one table; each row has its reference from the same run."""

import os
import platform
from functools import partial
from pathlib import Path

import click
import psutil
from rich.console import Console
from rich.table import Table

from bench import (
    county_month,
    footprint,
    frauds,
    idle,
    near_duplicates,
    phone_start,
    photo_findings,
    photos,
    raises,
    review,
    search,
    sync,
    uploads,
)
from bench.rows import NotProven, Row
from bench.year import running as year
from server.core.clock import today

RESULTS = Path(__file__).parent / "RESULTS.md"
PARTS = {
    "sync": sync.measure,
    "uploads": uploads.measure,
    "photos": photos.measure,
    "findings": photo_findings.measure,
    "neighbours": near_duplicates.measure,
    "review": review.measure,
    "search": search.measure,
    "raises": raises.measure,
    "frauds": frauds.measure,
    "month": county_month.measure,
    "year": year.measure,
    "footprint": footprint.measure,
    "idle": idle.measure,
    "phone": phone_start.measure,
}
# A county's year takes an hour or more: only when it is named.
ON_REQUEST = {"year"}


@click.command()
@click.option("--only", multiple=True, type=click.Choice(sorted(PARTS)), help="Run only these parts.")
@click.option("--seconds", default=20.0, show_default=True, help="Duration of each load.")
@click.option("--phones", default=idle.PHONES, show_default=True, help="Idle phones, of the part `idle`.")
@click.option("--homes", default=year.HOMES, show_default=True, help="Homes of the county, of the part `year`.")
@click.option("--months", default=year.MONTHS, show_default=True, help="Months of the part `year`.")
@click.option("--write/--no-write", default=False, help="Write the results into bench/RESULTS.md.")
def main(only: tuple[str, ...], seconds: float, phones: int, homes: int, months: int, write: bool) -> None:
    all_rows: list[Row] = []
    wrong: list[str] = []
    parts = PARTS | {
        "idle": partial(idle.measure, phones=phones),
        "year": partial(year.measure, homes=homes, months=months),
    }
    for name, measure in parts.items():
        if name not in (only or PARTS.keys() - ON_REQUEST):
            continue
        rows: list[Row] = []
        try:
            for row in measure(seconds):
                rows.append(row)
                click.echo(f"{row.metric}: {row.measured}", err=True)
        except NotProven as failed:
            wrong += failed.wrong
        all_rows += rows
        if write:  # after each part, so that a later failure loses nothing
            _write(name, rows, seconds)
    _show(all_rows)
    for fault in wrong:
        click.echo(f"NOT PROVEN: {fault}", err=True)
    if wrong:
        raise SystemExit(1)


def _show(rows: list[Row]) -> None:
    table = Table(title="zoufang benchmarks")
    for heading in ("metric", "measured", "reference", "ratio", "target"):
        table.add_column(heading)
    for row in rows:
        table.add_row(*row)
    Console(width=160).print(table)


HEAD = """# Measured

Client, server and database share one machine, which is shared too: compare the ratios, not the rates. Each part states
when and on what it was measured; `python -m bench --only PART --write` measures it again.
"""


def _write(name: str, rows: list[Row], seconds: float) -> None:
    """Replace the table of this part in RESULTS.md; keep the other parts."""
    parts = _read_parts() | {name: _markdown(rows, seconds)}
    sections = "".join(f"\n## {part}\n\n{parts[part].strip()}\n" for part in PARTS if part in parts)
    RESULTS.write_text(HEAD + sections)


def _read_parts() -> dict[str, str]:
    _, *sections = RESULTS.read_text().split("\n## ")
    return dict(section.split("\n", 1) for section in sections)


def _markdown(rows: list[Row], seconds: float) -> str:
    head = (
        f"{today().isoformat()}: {os.cpu_count()} cores, {psutil.virtual_memory().total >> 30} GiB, "
        f"{platform.machine()}, Python {platform.python_version()}, PostgreSQL 18 embedded, loops of {seconds:g} s.\n\n"
        "| metric | measured | reference, same run | ratio | target |\n|---|---|---|---|---|\n"
    )
    return head + "".join("| " + " | ".join(row) + " |\n" for row in rows)


if __name__ == "__main__":
    main(prog_name="python -m bench")
