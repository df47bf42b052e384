import ast
import sys
from functools import cache
from pathlib import Path

import app


HOME = Path(app.__file__).parent
MODULES = {str(path.relative_to(HOME)): ast.parse(path.read_text()) for path in HOME.rglob("*.py")}
# What each part may import of the others; who starts the whole may import everything.
MAY_IMPORT = {
    "health": set(),
    "text": set(),
    "background": set(),
    "signals": set(),
    "devservers": set(),
    "checks": {"health"},
    "logs": {"health", "text"},
    "lifecycle": {"background", "signals"},
    "event_loop": {"background"},
    "api": {"auth", "health", "lifecycle"},
    "asgi": {"api", "event_loop", "lifecycle"},
    "settings": {"checks", "text"},
    "probe_config": {"settings"},
    "auth": {"settings"},
    "server": {"api", "settings"},
    "check_factory": {"checks", "health", "settings"},
}
STARTERS = {"__init__", "__main__", "application", "cli", "main"}


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


def test_the_core_imports_the_standard_library_and_itself_only() -> None:
    """So that it can be read, tested and trusted on its own."""
    core = [module for module in MODULES if module.startswith("health/")]
    others = {name for module in core for name in imports(module) if name[:11] != "app.health."}
    assert core
    assert {name.split(".")[0] for name in others} <= sys.stdlib_module_names


def part(module: str) -> str:
    """The part that a module belongs to."""
    return module.partition("/")[0].removesuffix(".py")


def known(module: str) -> set[str]:
    """The parts of the application that a module imports, but for its own."""
    return {name.split(".")[1] for name in imports(module) if name[:4] == "app."} - {part(module)}


def test_imports_point_inward() -> None:
    """A part knows those that it is listed with, and nobody knows who starts the whole."""
    parts = [module for module in MODULES if part(module) not in STARTERS]
    wrong = {module: known(module) - MAY_IMPORT[part(module)] for module in parts}
    assert {module: others for module, others in wrong.items() if others} == {}


def test_only_the_composition_root_knows_everyone() -> None:
    """And nobody knows the composition root but what starts it."""
    assert importers("api", "check_factory") == {"application.py"}
    assert {name for name in importers("checks", "settings") if name[:4] != "cli/"} == {
        "check_factory.py"
    }
    starters = {name for name in importers("application") if not name.startswith("cli/")}
    assert starters <= {"main.py", "__main__.py"}


def reads_the_environment(module: str) -> bool:
    """Whether a module does more with the environment than to set a variable."""
    nodes = ast.walk(MODULES[module])
    names = [ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)]
    writes = names.count("os.environ.update") + names.count("os.environ.setdefault")
    ways = {"os.environb", "os.getenv", "os.getenvb"} & {*names, *imports(module)}
    return bool(ways) or names.count("os.environ") != writes or "os.environ" in imports(module)


def test_only_settings_read_the_environment() -> None:
    """What the service depends on is seen in one place; `vitals dev` sets variables for them.

    The variables that name the trusted CAs are OpenSSL's: every client of it reads them.
    """
    readers = {name for name in MODULES if reads_the_environment(name)} - {"checks/tls.py"}
    assert {part(name) for name in readers} == {"settings"}
