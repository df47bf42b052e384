"""What README, docs and the other pages name is there."""

import re
from urllib.parse import unquote

import pytest

from app.cli import COMMANDS
from tests.service import ROOT


FILES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("secrets/*.md")]
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in sorted(FILES)}
BLOCK = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
TARGETS = set(re.findall(r"^([.a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def anchors(page: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    heads = re.findall(r"^#+ (.*)$", BLOCK.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def links(page: str) -> list[str]:
    """Where the links and pictures of a page lead, but for what is elsewhere."""
    text = re.sub(r"`[^`\n]*`", "", BLOCK.sub("", page))
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def commands(page: str, program: str) -> set[str]:
    """The words that follow a program where it is a command: in a block, or between backticks."""
    code = " \n".join(BLOCK.findall(page) + re.findall(r"`([^`]+)`", BLOCK.sub("", page)))
    return set(re.findall(rf"(?:^|[\s/|&]){program} ([.a-z][a-z-]*)", code, re.MULTILINE))


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    """To a file of the repository and, where it says so, to a heading in it."""
    for link in links(PAGES[name]):
        path, _, anchor = unquote(link).partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


def test_links_are_found() -> None:
    """And neither those of a block, nor what stands between backticks, nor what is elsewhere."""
    page = "[a](b.md#c-d) `[e](f)` [g](https://h) ![i](j.svg)\n```\n[k](l)\n```\n# C, `d`!\n"
    assert links(page) == ["b.md#c-d", "j.svg"]
    assert anchors(page) == {"c-d"}


@pytest.mark.parametrize("name", PAGES)
def test_every_target_of_make_that_is_named_is_there(name: str) -> None:
    """Whoever types what a page tells is not told that there is no rule for it."""
    assert not commands(PAGES[name], "make") - TARGETS


@pytest.mark.parametrize("name", PAGES)
def test_every_command_that_is_named_is_there(name: str) -> None:
    """`vitals` and a word, wherever it is told as a command."""
    assert not commands(PAGES[name], "vitals") - COMMANDS.keys()


def test_commands_are_found() -> None:
    """In a block and between backticks, with a path before or another command."""
    block = "```console\n$ make .venv && vitals x y\n```\n"
    page = f"`make test`, `.venv/bin/vitals dev --reload`, make haste\n{block}"
    assert commands(page, "make") == {"test", ".venv"}
    assert commands(page, "vitals") == {"dev", "x"}


def test_help_tells_every_target() -> None:
    """A target without a sentence is one that nobody finds."""
    told = re.findall(r"^([.a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(told) == TARGETS - {".PHONY"}
