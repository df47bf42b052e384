"""Finds the line of a value in a YAML file, for error messages."""

from pathlib import Path

import yaml

from tests.support.service import ROOT


def where(file: Path, *path: str) -> str:
    """Return file and line of a value, or of the innermost existing parent if it is missing.

    In a list, a key selects the item with that name.
    """
    node = yaml.compose(file.read_text(), Loader=yaml.SafeLoader)
    assert node, f"{file} is empty"
    for key in path:
        if (found := _within(node, key)) is None:
            break
        node = found
    shown = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
    return f"{shown}:{node.start_mark.line + 1}"


def _within(node: yaml.Node, key: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in node.value if name.value == key), None)
    if isinstance(node, yaml.SequenceNode):
        named = ((_within(item, "name"), item) for item in node.value)
        return next((item for name, item in named if name and name.value == key), None)
    return None
