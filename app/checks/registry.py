"""The kinds of checks. A new kind is one module, and one line here."""

from importlib import import_module

from app.checks.kind import Kind


MODULES = (
    "app.checks.postgres",
    "app.checks.redis",
    "app.checks.http",
    "app.checks.tcp",
)

KINDS: tuple[Kind, ...] = tuple(import_module(module).KIND for module in MODULES)

BY_SCHEME = {scheme: kind for kind in KINDS for scheme in kind.schemes}
