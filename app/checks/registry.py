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


def find_kind(url: str) -> Kind | None:
    """Return the kind that the scheme of a URL selects. SQLAlchemy adds a driver to some."""
    scheme = url.partition(":")[0].lower()
    return BY_SCHEME.get(scheme) or BY_SCHEME.get(f"{scheme.partition('+')[0]}+DRIVER")
