"""Whether files are as a schema wants them that is published for their kind."""

from importlib import import_module
from pathlib import Path

from click.testing import CliRunner


def complaints(schema: str, *files: Path) -> str:
    """What check-jsonschema says of files that are not; nothing where they are."""
    # Takes longer to import than to run: once a process, and where it is needed alone.
    program = import_module("check_jsonschema").main
    judged = CliRunner().invoke(program, ["--builtin-schema", schema, *map(str, files)])
    return judged.output if judged.exit_code else ""
