"""Rules on imports that the contracts of import-linter in pyproject.toml can't express."""

import ast
import re
import sys
from pathlib import Path

import pytest

import app
from tests.support.pages import PAGES
from tests.support.service import ROOT


HOME = Path(app.__file__).parent
MODULES = {str(path.relative_to(HOME)): ast.parse(path.read_text()) for path in HOME.rglob("*.py")}


def imported_names(module: str) -> set[str]:
    """Return the full names that a module imports, also inside functions."""
    nodes = list(ast.walk(MODULES[module]))
    plain = [node for node in nodes if isinstance(node, ast.Import)]
    parts = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    return {alias.name for node in plain for alias in node.names} | {
        f"{node.module}.{alias.name}" for node in parts for alias in node.names
    }


def test_the_health_core_imports_the_standard_library_and_itself_only() -> None:
    core = [module for module in MODULES if module.startswith("health/")]
    others = {
        name for module in core for name in imported_names(module) if name[:11] != "app.health."
    }
    assert core
    assert {name.split(".")[0] for name in others} <= sys.stdlib_module_names


def reads_environment(module: str) -> bool:
    """Return whether a module does more with the environment than set variables."""
    nodes = ast.walk(MODULES[module])
    names = [ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)]
    writes = names.count("os.environ.update") + names.count("os.environ.setdefault")
    readers = {"os.environb", "os.getenv", "os.getenvb"} & {*names, *imported_names(module)}
    return (
        bool(readers)
        or names.count("os.environ") != writes
        or "os.environ" in imported_names(module)
    )


def test_only_settings_read_the_environment() -> None:
    """`vitals dev` only sets variables. Two modules read those of OpenSSL and of systemd."""
    others = {"checks/tls.py", "lifecycle.py"}
    readers = {name for name in MODULES if reads_environment(name)} - others
    assert {name.partition("/")[0] for name in readers} == {"settings"}


@pytest.mark.parametrize("name", PAGES)
def test_every_module_that_a_page_names_exists(name: str) -> None:
    """Except the modules that a reader adds with docs/grow.md."""
    paths = set(re.findall(r"`((?:app|tests|benchmarks)/[\w/.]+|[\w/]+/\w+\.py)`", PAGES[name]))
    added = {"app/checks/smtp.py", "app/clock.py"} if name == "docs/grow.md" else set()
    existing = {path for path in paths if (ROOT / path).exists() or (HOME / path).exists()}
    assert paths - added == existing


def test_every_function_on_the_page_is_in_its_module() -> None:
    pattern = r"`(?:(\w+)\.)?(\w+)\(\)` in `app/([\w/]+\.py)`"
    named = re.findall(pattern, PAGES["docs/architecture.md"])
    assert len(named) > 10
    for owner, name, module in named:
        classes = [one for one in MODULES[module].body if isinstance(one, ast.ClassDef)]
        [scope] = [one for one in classes if one.name == owner] if owner else [MODULES[module]]
        functions = ast.FunctionDef | ast.AsyncFunctionDef
        assert name in {one.name for one in scope.body if isinstance(one, functions)}, module


def test_the_page_lists_every_module() -> None:
    """An item of the list names the modules of one folder."""
    section = PAGES["docs/architecture.md"].partition("## Every module")[2]
    listed = set[str]()
    for folder, text in re.findall(r"- `app/([a-z]*/?)`(.*?)(?=\n- |\Z)", section, re.DOTALL):
        listed |= {f"{folder}{name}.py" for name in re.findall(r"`([a-z_]+)`", text)}
    listed -= {"vitals.py"}  # the command
    assert listed == {name for name in MODULES if not name.endswith("__init__.py")}
