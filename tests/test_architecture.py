"""Rules on imports that the contracts of import-linter in pyproject.toml can't express."""

import ast
import sys
from pathlib import Path

import app


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
    """`vitals dev` only sets variables, and checks/tls.py reads OpenSSL's CA variables."""
    readers = {name for name in MODULES if reads_environment(name)} - {"checks/tls.py"}
    assert {name.partition("/")[0] for name in readers} == {"settings"}
