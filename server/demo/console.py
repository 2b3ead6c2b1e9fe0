"""Console output of the demo visit: each step as it ends, the findings, and the resident's timeline."""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import httpx
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from server.core.clock import CHINA
from server.core.tokens import StatementError
from server.demo.device import StepFailed
from server.demo.recording import PHOTOS
from server.demo.walk import Walk

PHOTO_CODES = ("photo.abroad", "photo.place_off", "photo.time_off", "photo.after_receipt", "photo.reused")


class StepSkipped(Exception):
    """The step has nothing to show; the message says why."""


Step = Callable[[Walk], Awaitable[str]]


async def run_steps(walk: Walk, steps: Sequence[tuple[str, Step]], screen: Console) -> int:
    """Run the steps, print each row as its step ends, and return the exit code."""
    screen.print(f"\nOne home visit through {walk.url}, from the phone to the resident\n", markup=False)
    _print_row(screen, "", "", "step", "ms", "result", style="bold")
    started = time.monotonic()
    skipped = 0
    failed: str | None = None
    for number, (name, step) in enumerate(steps, start=1):
        mark, took_ms, result = await _run_step(walk, screen, name, step)
        _print_row(screen, mark, str(number), name, f"{took_ms:,.0f}", result)
        skipped += mark == "–"
        if mark == "✗":
            failed = f"Step {number} failed and the rest was not run: {result}"
            break
    _print_findings(walk, screen)
    _print_timeline(walk, screen)
    took_s = time.monotonic() - started
    if failed is not None:
        screen.print(Text(f"\n✗ {failed}", style="bold red"))
        return 1
    outcome = f"✓ From the phone to the {'decision' if skipped else 'resident'} in {took_s:.1f} s."
    screen.print(Text(f"\n{outcome}", style="bold green"))
    return 0


async def _run_step(walk: Walk, screen: Console, name: str, step: Step) -> tuple[str, float, str]:
    started = time.perf_counter()
    mark = "✗"
    try:
        with screen.status(f"{name} …"):
            result = await step(walk)
        mark = "✓"
    except StepSkipped as skipped:
        mark, result = "–", f"skipped: {skipped}"
    except StepFailed as failed:
        result = str(failed)
    except StatementError as error:
        result = f"the receipt is invalid: {error}"
    except httpx.HTTPError as error:
        result = f"no response: {type(error).__name__} {error}".strip()
    except (LookupError, TypeError, msgspec.ValidationError) as error:
        result = f"unexpected response: {type(error).__name__} {error}"
    return mark, (time.perf_counter() - started) * 1000, result


_MARK_STYLES = {"✓": "green", "✗": "bold red", "–": "yellow"}


def _print_row(screen: Console, mark: str, number: str, name: str, ms: str, result: str, style: str = "") -> None:
    """Print a row as its own table with fixed columns, so that rows appear one by one on terminals and in files."""
    row = Table.grid(padding=(0, 2, 0, 0), expand=True)
    row.add_column(width=1)
    row.add_column(width=2, justify="right")
    row.add_column(width=21)
    row.add_column(width=6, justify="right")
    row.add_column(ratio=1, overflow="fold")
    outcome = style or ("red" if mark == "✗" else "yellow" if mark == "–" else "")
    row.add_row(
        Text(mark, _MARK_STYLES.get(mark, "")),
        Text(number, "dim"),
        Text(name, style),
        Text(ms, style or "cyan"),
        Text(result, outcome),
    )
    screen.print(row)


_SEVERITY_STYLES = {"critical": "bold red", "warning": "yellow", "notice": "cyan", "info": "dim"}


def _print_findings(walk: Walk, screen: Console) -> None:
    if not hasattr(walk, "detail"):
        return
    names = {picture.id: picture.name for picture in walk.pictures}
    table = Table(title="Findings, for the supervisor to resolve", title_justify="left", expand=True)
    table.add_column("severity", no_wrap=True)
    table.add_column("code", overflow="fold", max_width=24)
    table.add_column("photo", overflow="fold", max_width=12)
    table.add_column("说明", ratio=1, overflow="fold", min_width=28)
    for finding in walk.detail["findings"]:
        style = _SEVERITY_STYLES[finding["severity"]]
        photo = names.get(finding["evidenceId"], "")
        table.add_row(Text(finding["severity"], style), Text(finding["code"]), Text(photo), Text(finding["zh"], style))
    screen.print()
    screen.print(table)
    if walk.files:
        _print_findings_on_files(walk, screen)


def _print_findings_on_files(walk: Walk, screen: Console) -> None:
    """Print in one line which photo findings the user's own files have."""
    own_ids = {picture.id for picture in walk.pictures[:PHOTOS]}
    counts = {
        code: len({finding["evidenceId"] for finding in walk.detail["findings"] if finding["code"] == code} & own_ids)
        for code in PHOTO_CODES
    }
    result = ", ".join(f"{code} on {count} of {PHOTOS}" for code, count in counts.items() if count)
    line = f"These photos: {result}." if result else "These photos: no findings."
    screen.print(Text(line, "bold red" if result else "green"))


def _print_timeline(walk: Walk, screen: Console) -> None:
    if not walk.timeline:
        return
    table = Table(title="What the resident reads", title_justify="left")
    table.add_column("when", no_wrap=True)
    table.add_column("step", no_wrap=True)
    table.add_column("进度", overflow="fold")
    for entry in walk.timeline:
        at = datetime.fromisoformat(entry["at"]).astimezone(CHINA)
        table.add_row(at.strftime("%Y-%m-%d %H:%M"), entry["step"], entry["zh"])
    screen.print()
    screen.print(table)
