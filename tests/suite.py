"""What holds for the whole suite: which tests are unit tests, and that no skipped test goes unseen.

A test is marked `unit` when neither it nor a fixture or helper of it starts a process: no database, store, server or
browser. `make check` runs these alone. The mark is found in the code, so nobody keeps a list; and it is held while
they run: a unit test that starts a process after all fails.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parent
STARTERS = {"subprocess", "multiprocessing", "playwright"}
PROGRAM = {"server", "field_api", "media", "deploy"}
EVENTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec"}
_running: list[pytest.Item] = []


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "unit: starts no process (set by tests/suite.py)")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    found: dict[object, bool] = {}
    for item in items:
        if isinstance(item, pytest.Function) and not any(starts_processes(part, found) for part in _parts(item)):
            item.add_marker("unit")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    is_unit = item.get_closest_marker("unit") is not None
    if is_unit:
        _running.append(item)
    try:
        return (yield)
    finally:
        if is_unit:
            _running.remove(item)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    yield
    reasons = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    terminalreporter.write_line(f"skipped: {reasons.total()}")
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"skipped: {count} — {reason}")


def starts_processes(part: object, found: dict[object, bool] | None = None) -> bool:
    """Whether this function, class or module can start a process, as far as the names in its code tell.

    Tests and their helpers are followed name by name. Of the program, a name counts when its module imports
    `subprocess` or holds an object that does: that is enough to tell EmbeddedPostgres from a function that reckons. `found` holds what was seen.
    """
    found = {} if found is None else found
    if not isinstance(part, FunctionType | type | ModuleType):
        return False
    if part not in found:
        found[part] = False  # while it is followed: helpers may call each other
        found[part] = _starts_processes(part, found)
    return found[part]


def _starts_processes(part: FunctionType | type | ModuleType, found: dict[object, bool]) -> bool:
    name = part.__name__ if isinstance(part, ModuleType) else part.__module__ or ""
    package = name.partition(".")[0]
    if package in STARTERS:
        return True
    module = sys.modules.get(name)
    is_test = TESTS in Path(getattr(module, "__file__", None) or "/").parents
    if package in PROGRAM or (is_test and isinstance(part, ModuleType)):
        return _uses_subprocess(module) or (package in PROGRAM and _holds_child(module))
    if not is_test:
        return False
    if isinstance(part, type):
        members = [getattr(member, "__func__", member) for kind in part.__mro__ for member in vars(kind).values()]
        return any(starts_processes(member, found) for member in members)
    named = (part.__globals__.get(name) for name in _names(part.__code__))
    return any(starts_processes(getattr(value, "__wrapped__", value), found) for value in named)


def _uses_subprocess(module: ModuleType | None) -> bool:
    return getattr(module, "subprocess", None) is subprocess


def _holds_child(module: ModuleType | None) -> bool:
    """Whether a name of the module is an object of ours that starts processes, as the reader of spreadsheets is."""
    kinds = [type(value).__module__ for value in vars(module).values()] if module else []
    return any(kind.partition(".")[0] in PROGRAM and _uses_subprocess(sys.modules.get(kind)) for kind in kinds)


def _names(code: CodeType) -> set[str]:
    """Every name in a function and in those inside it."""
    inner = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*inner)


def _parts(item: pytest.Function) -> list[object]:
    fixtures = item._fixtureinfo.name2fixturedefs.values()
    return [item.function, *(definition.func for definitions in fixtures for definition in definitions)]


def _reason(report: Any) -> str:
    """The reason of a skipped test or module, without pytest's own word before it."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def _refuse_processes(event: str, _arguments: tuple[object, ...]) -> None:
    if _running and event in EVENTS:
        raise RuntimeError(f"{_running[-1].nodeid} is taken for a unit test and starts a process: see tests/suite.py")


sys.addaudithook(_refuse_processes)
