"""Validates files with the published JSON schema of their kind."""

from importlib import import_module
from pathlib import Path

from click.testing import CliRunner


def complaints(schema: str, *files: Path) -> str:
    """Return the errors of check-jsonschema; an empty string if all files are valid."""
    # Import it here, as that takes longer than to run it, and only few tests need it.
    program = import_module("check_jsonschema").main
    result = CliRunner().invoke(program, ["--builtin-schema", schema, *map(str, files)])
    return result.output if result.exit_code else ""
