"""The retired words of docs/glossary.md stay retired, and the tables of CONTRIBUTING.md lead to files that exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.core.paths import ROOT

GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
PROGRAM = ("server", "field_api", "media")
# Retired words that the program must know: the sheet's former name, in workbooks that offices keep.
STILL_READ = {"server/checklists/workbook_layout.py 清单"}
CHINESE = re.compile(r"[\u3400-\u9fff]")


def retired(where: str) -> set[str]:
    table = GLOSSARY.partition("## Retired words")[2]
    rows = re.findall(r"^\| `(.+?)` \| (\w+) \| .+ \|$", table, flags=re.MULTILINE)
    return {word for word, place in rows if place == where}


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "node_modules" not in path.parts:
                yield path


def bound_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Names that the code gives: variables, arguments, attributes that it sets, functions, classes, aliases."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name.removeprefix("_"), node.lineno
        elif isinstance(node, ast.alias):
            yield node.asname or node.name, 0


def module_level_names(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def test_no_python_code_binds_a_retired_name():
    words = retired("name")
    assert len(words) >= 6
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in python_files(*PROGRAM, "tests", "bench", "deploy")
        for name, line in bound_names(ast.parse(path.read_text()))
        if name in words
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("for one in rows: pass", "one"),
        ("[told.id for told in rows]", "told"),
        ("def f(asked): pass", "asked"),
        ("lambda came: came", "came"),
        ("self.known = 1", "known"),
        ("def wanted(): pass", "wanted"),
        ("class A:\n    told: int = 1", "told"),
    ],
)
def test_a_binding_of_each_kind_is_seen(code, name):
    assert name in {bound for bound, _ in bound_names(ast.parse(code))}


def test_no_module_defines_a_retired_name():
    words = retired("definition")
    assert words
    found = [
        f"{path.relative_to(ROOT)} {name}"
        for path in python_files(*PROGRAM)
        for name in module_level_names(ast.parse(path.read_text()))
        if name in words
    ]
    assert not found, "\n".join(found)


def test_no_file_or_folder_has_a_retired_name():
    words = retired("module")
    found = [
        path.relative_to(ROOT).as_posix()
        for folder in (*PROGRAM, "web/phone", "web/desk", "web/resident", "web/shared")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {"", ".py", ".ts", ".vue"} and path.stem in words and "__pycache__" not in path.parts
    ]
    assert not found, "\n".join(found)


def chinese_texts() -> Iterator[tuple[str, str]]:
    for path in python_files(*PROGRAM):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CHINESE.search(node.value):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value
    for path in [*(ROOT / "server").rglob("*.typ"), *(ROOT / "server").rglob("*.html"), ROOT / "README.zh-CN.md"]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if CHINESE.search(line):
                yield f"{path.relative_to(ROOT)}:{number}", line


def test_no_chinese_text_of_the_server_has_a_retired_word():
    patterns = [re.compile(pattern) for pattern in retired("screen")]
    assert patterns
    found = {f"{where} {text}" for where, text in chinese_texts() for word in patterns if word.search(text)}
    found = {text for text in found if text.partition(":")[0] + text[text.index(" ") :] not in STILL_READ}
    assert not found, "\n".join(found)


def paths_named(text: str) -> list[str]:
    """Paths of the repository in backticks; a path may end with `: name` outside them or hold a `*`."""
    named = re.findall(r"`((?:\w[\w.-]*/)+[\w.*<>-]*)`", text)
    return [path for path in named if not path.startswith(("http", "desk/v1", "field/v1")) and "<" not in path]


def test_every_file_that_contributing_names_exists():
    paths = paths_named(CONTRIBUTING)
    assert len(paths) > 40
    missing = [path for path in paths if not list(ROOT.glob(path.rstrip("/")))]
    assert not missing, missing


def test_the_obvious_word_leads_to_the_file():
    table = CONTRIBUTING.partition("## Searches")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| `(.+?)` \| `(.+?)` \|$", table, flags=re.MULTILINE)
    assert {"process photo", "visit complete", "lease expires", "household scope", "policy setting"} <= {
        words for words, _, _ in rows
    }
    for words, file, name in rows:
        content = (ROOT / file).read_text()
        assert name.rpartition(".")[2] in content, (words, file, name)
        # whoever greps for the words finds them in the file's path or text
        for word in words.split():
            assert word.lower() in f"{file} {content}".lower(), (words, word, file)
