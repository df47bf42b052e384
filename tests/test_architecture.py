import ast
import sys
from functools import cache
from pathlib import Path

import pytest

import app


HOME = Path(app.__file__).parent
MODULES = {str(path.relative_to(HOME)): ast.parse(path.read_text()) for path in HOME.rglob("*.py")}
OUTER = {"api", "application", "checks", "cli", "embedded", "main", "probes", "secrets", "settings"}


@cache
def imports(module: str) -> set[str]:
    """What a module imports, by full names."""
    nodes = list(ast.walk(MODULES[module]))
    plain = [node for node in nodes if isinstance(node, ast.Import)]
    parts = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    return {alias.name for node in plain for alias in node.names} | {
        f"{node.module}.{alias.name}" for node in parts for alias in node.names
    }


def importers(*houses: str) -> set[str]:
    """The modules that import something of each of these parts of the application."""
    return {
        module
        for module in MODULES
        if set(houses) <= {name.split(".")[1] for name in imports(module) if name[:4] == "app."}
    }


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("health/")])
def test_the_core_imports_the_standard_library_and_itself_only(module: str) -> None:
    """So that it can be read, tested and trusted on its own."""
    others = {name for name in imports(module) if not name.startswith("app.health.")}
    assert {name.split(".")[0] for name in others} <= sys.stdlib_module_names


@pytest.mark.parametrize(
    "part", ["api", "embedded", "health", "lifecycle", "probes", "secrets", "urls"]
)
def test_no_part_imports_what_lies_outside_it(part: str) -> None:
    """Imports point inward: parts know the core, and neither each other nor who sets them up."""
    inside = {name for name in MODULES if name.startswith((f"{part}/", f"{part}.py"))}
    assert inside
    assert not [outer for outer in OUTER - {part} if inside & importers(outer)]


def test_settings_know_what_can_be_set_and_nothing_that_serves() -> None:
    """So a command can read them at once."""
    parts = {name.split(".")[1] for name in imports("settings.py") if name[:4] == "app."}
    assert parts == {"logs", "maintenance", "members", "secrets", "targets", "tokens", "urls"}


def test_only_the_composition_root_knows_everyone() -> None:
    """And nobody knows the composition root but what starts it."""
    assert importers("api", "checks") == {"application.py"}
    assert {name for name in importers("probes", "settings") if name[:4] != "cli/"} == {"checks.py"}
    starters = {name for name in importers("application") if not name.startswith("cli/")}
    assert starters <= {"main.py", "__main__.py"}


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"settings.py", "secrets.py"}))
def test_only_settings_and_secrets_read_the_environment(module: str) -> None:
    """What the service depends on is seen in two files; `vitals dev` sets variables for them."""
    names = [
        ast.unparse(node) for node in ast.walk(MODULES[module]) if isinstance(node, ast.Attribute)
    ]
    writes = names.count("os.environ.update") + names.count("os.environ.setdefault")
    assert names.count("os.environ") == writes
    assert not {"os.environb", "os.getenv", "os.getenvb"} & {*names, *imports(module)}
    assert "os.environ" not in imports(module)
