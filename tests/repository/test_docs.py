"""What README, docs and the other pages name is there."""

import re
from urllib.parse import unquote

import pytest

from app.cli import COMMANDS
from app.health.reasons import ADVICE
from app.settings import Settings
from app.settings.checks import read_http_checks
from tests.pages import PAGES, Block, alike, blocks
from tests.service import ROOT


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


SETTINGS = PAGES["docs/settings.md"]
REASONS = PAGES["docs/operations.md"].partition("## Every reason")[2]


def explained() -> dict[str, str]:
    """Each setting of the table, with the default that it tells."""
    rows = re.findall(r"^\| (`[A-Z_`, ]+) \| (.*?) \|", SETTINGS, re.MULTILINE)
    told = dict[str, str]()
    for names, defaults in rows:
        found = re.findall(r"[A-Z_]+", names)
        each = defaults.split(", ") if ", " in defaults else [defaults] * len(found)
        told |= zip(found, each, strict=True)
    return told


def test_every_setting_is_explained() -> None:
    """But for the intervals and timeouts of one dependency, whose names are told in a word."""
    own = {
        f"{one}_CHECK_{what}" for one in ("POSTGRES", "REDIS") for what in ("INTERVAL", "TIMEOUT")
    }
    assert explained().keys() == {name.upper() for name in Settings.model_fields} - own


@pytest.mark.parametrize("name", sorted(explained()))
def test_a_default_is_what_the_page_says(name: str) -> None:
    """Where it is one that can be told in a word."""
    default = Settings.model_fields[name.lower()].default
    assert not default or explained()[name].strip("`").startswith(str(default))


def test_every_reason_is_explained_as_the_service_explains_it() -> None:
    """Whoever has the word from an alert reads on the page what `/health` would say of it."""
    told = re.findall(r"^\| `([a-z_]+)` \| (.*?) \| (.*?) \|$", REASONS, re.MULTILINE)
    assert told == [(reason, known.words, known.remedy) for reason, known in ADVICE.items()]


def test_the_http_check_of_the_page_is_one() -> None:
    """With its secret, and no complaint."""
    (shown,) = re.findall(r"JSON: `(.*?)`;", SETTINGS)
    (target,), problems = read_http_checks(shown)
    assert (target.name, list(target.secrets), list(problems)) == ("minio", ["NAME"], [])


def unpromised(block: Block) -> str | None:
    """Why it is not clear who runs a block, if it is not."""
    if block.language == "text" or block.said.startswith("shown only: "):
        return None
    runner = re.fullmatch(r"run by (tests/\S+\.py)", block.said)
    if not runner:
        return f"{block.place}: neither <!-- run by tests/... --> nor <!-- shown only: why -->"
    page = block.place.partition(":")[0]
    file = ROOT / runner[1]
    code = file.read_text() if file.exists() else ""
    named = f'"{page}"' in code and f'"{block.heading}"' in code
    return None if named else f"{block.place}: {runner[1]} does not run it"


@pytest.mark.parametrize("name", PAGES)
def test_what_stands_between_fences_is_run_or_says_why_not(name: str) -> None:
    """By a test that names the page and the heading, word for word; pictures are `text`."""
    assert list(filter(None, map(unpromised, blocks(name)))) == []


def test_no_block_is_overlooked() -> None:
    """Each fence begins or ends one that is found."""
    for name, page in PAGES.items():
        assert len(re.findall(r"^ *(```|~~~)", page, re.MULTILINE)) == 2 * len(list(blocks(name)))


def test_a_block_that_promises_nothing_is_told() -> None:
    """With its page and its line, and so is one whose test does not know of it."""
    page = "# A\n```sh\n# B\n```\n<!-- run by tests/pages.py -->\n```sh\n```\n```text\n```\n"
    first, second, third = blocks("a.md", page)
    assert [first.place, first.heading, first.text, second.place] == [
        "a.md:2",
        "A",
        "# B\n",
        "a.md:6",
    ]
    assert str(unpromised(first)).startswith("a.md:2: neither")
    assert unpromised(second) == "a.md:6: tests/pages.py does not run it"
    assert unpromised(third) is None


def test_an_answer_is_compared_but_for_what_varies() -> None:
    """Figures, blanks and what is left out."""
    assert alike('{"ms":0.57, ...}', '{"ms":12,  "at":"x"}')
    assert not alike('{"ms":0.57, ...}', '{"s":0.57, "at":"x"}')
    assert not alike("ok", "ok, but")
