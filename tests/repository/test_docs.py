"""Links, commands, settings and code blocks of the pages."""

import ast
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from app.cli import COMMANDS
from app.settings import Settings
from tests.support.broken_settings import BROKEN
from tests.support.pages import PAGES, Block, alike, blocks
from tests.support.service import ROOT


BLOCK = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
TARGETS = set(re.findall(r"^([.a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def anchors(page: str) -> set[str]:
    """Return the anchors that GitHub creates for the headings of a page."""
    heads = re.findall(r"^#+ (.*)$", BLOCK.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def links(page: str) -> list[str]:
    """Return the targets of a page's links and pictures, except URLs."""
    text = re.sub(r"`[^`\n]*`", "", BLOCK.sub("", page))
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def commands(page: str, program: str) -> set[str]:
    """Return the first arguments of a program's commands, in code blocks and inline code."""
    code = " \n".join(BLOCK.findall(page) + re.findall(r"`([^`]+)`", BLOCK.sub("", page)))
    return set(re.findall(rf"(?:^|[\s/|&]){program} ([.a-z][a-z-]*)", code, re.MULTILINE))


@pytest.mark.parametrize("name", PAGES)
def test_every_link_has_an_existing_file_and_heading(name: str) -> None:
    for link in links(PAGES[name]):
        path, _, anchor = unquote(link).partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


def test_links_in_code_and_urls_are_ignored() -> None:
    page = "[a](b.md#c-d) `[e](f)` [g](https://h) ![i](j.svg)\n```\n[k](l)\n```\n# C, `d`!\n"
    assert links(page) == ["b.md#c-d", "j.svg"]
    assert anchors(page) == {"c-d"}


@pytest.mark.parametrize("name", PAGES)
def test_every_make_target_on_a_page_exists(name: str) -> None:
    assert not commands(PAGES[name], "make") - TARGETS


@pytest.mark.parametrize("name", PAGES)
def test_every_vitals_command_on_a_page_exists(name: str) -> None:
    """In `docker compose exec vitals vitals check` the first one is a service."""
    assert (
        not commands(PAGES[name].replace(" vitals vitals ", " vitals "), "vitals") - COMMANDS.keys()
    )


def test_commands_are_found_in_blocks_and_inline_code() -> None:
    """Also after a path or after another command."""
    block = "```console\n$ make .venv && vitals x y\n```\n"
    page = f"`make test`, `.venv/bin/vitals dev --reload`, make haste\n{block}"
    assert commands(page, "make") == {"test", ".venv"}
    assert commands(page, "vitals") == {"dev", "x"}


def test_the_index_of_decisions_lists_each_page_by_its_title() -> None:
    """A page has its number, its status with a date, and at most 500 words."""
    pages = {Path(name).name: page for name, page in PAGES.items() if "/decisions/" in name}
    index = pages.pop("README.md")
    listed = re.findall(r"^- (\d{4}) \[(.*)\]\((.*)\)$", index, re.MULTILINE)
    assert sorted(file for *_, file in listed) == sorted(pages)
    for number, title, file in listed:
        assert file.startswith(f"{number}-")
        head = rf"# {int(number)}\. {re.escape(title)}\n\nStatus: [a-z]+, 2\d{{3}}-\d\d-\d\d"
        assert re.match(head, pages[file]), file
        assert len(pages[file].split()) <= 500, file


def test_make_help_describes_every_target() -> None:
    described = re.findall(r"^([.a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(described) == TARGETS - {".PHONY"}


# Texts that the code inserts into a message.
INSERTED = (
    r"…|the secret|the tables .*\]|its key .* that of |its folder .* entered|owner"
    r"|invalid TOML|a key .* twice|connection refused"
)
MESSAGES = re.findall(r"^\| `(.*?)` \| ", PAGES["docs/messages.md"], re.MULTILINE)


def test_every_message_on_the_page_is_in_the_code() -> None:
    """Each sentence is in a text of app/, without what the code inserts."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "app").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    texts = [node.value for node in nodes if isinstance(node.value, str)]
    assert len(MESSAGES) > 70
    for message in MESSAGES:
        text = re.sub(r"^[A-Z_, ]+: ", "", message)
        for part in re.split(rf"{INSERTED}|(?<=[.:]) |(?<=form )", text):
            assert any(part.strip(" .") in one for one in texts), message


@pytest.mark.parametrize("line", sorted({line for *_, line in BROKEN}))
def test_the_page_has_the_message_of_every_broken_setting(line: str) -> None:
    patterns = (re.escape(message).replace("…", ".*") for message in MESSAGES)
    assert any(re.fullmatch(rf"(\w+: )*{pattern}", line) for pattern in patterns)


SETTINGS = PAGES["docs/settings.md"]


def test_the_http_check_on_the_page_is_valid() -> None:
    (shown,) = re.findall(r"JSON:\n`(.*?)`\.", SETTINGS)
    (spec,), problems, *_ = Settings(database_url=None, redis_url=None, checks=shown).parsed_checks
    assert (spec.name, list(spec.secret_names), list(problems)) == ("minio", ["NAME"], [])


def test_the_file_on_the_page_is_valid(tmp_path: Path) -> None:
    [block] = [one for one in blocks("docs/settings.md") if one.heading == "Checks"]
    file = tmp_path / "checks.toml"
    file.write_text(block.text)
    specs, problems, *_ = Settings(
        database_url=None, redis_url=None, checks_file=file
    ).parsed_checks
    assert [spec.name for spec in specs] == ["orders", "payments", "kafka"]
    assert not problems


def missing_runner(block: Block) -> str | None:
    """Return what is wrong with the comment above a block, or None."""
    if block.language == "text" or block.comment.startswith("shown only: "):
        return None
    runner = re.fullmatch(r"run by (tests/\S+\.py)", block.comment)
    if not runner:
        return f"{block.place}: neither <!-- run by tests/... --> nor <!-- shown only: why -->"
    page = block.place.partition(":")[0]
    file = ROOT / runner[1]
    code = file.read_text() if file.exists() else ""
    named = f'"{page}"' in code and f'"{block.heading}"' in code
    return None if named else f"{block.place}: {runner[1]} does not run it"


@pytest.mark.parametrize("name", PAGES)
def test_every_block_names_the_test_that_runs_it_or_a_reason_why_none_does(name: str) -> None:
    """The test has to contain the page's name and the heading. `text` blocks are not run."""
    assert list(filter(None, map(missing_runner, blocks(name)))) == []


def test_every_fence_belongs_to_a_block_that_was_found() -> None:
    for name, page in PAGES.items():
        assert len(re.findall(r"^ *(```|~~~)", page, re.MULTILINE)) == 2 * len(list(blocks(name)))


def test_a_block_without_a_runner_is_reported_with_its_page_and_line() -> None:
    """So is a block that its test does not mention."""
    page = (
        "# A\n```sh\n# B\n```\n<!-- run by tests/support/pages.py -->\n```sh\n```\n```text\n```\n"
    )
    first, second, third = blocks("a.md", page)
    assert [first.place, first.heading, first.text, second.place] == [
        "a.md:2",
        "A",
        "# B\n",
        "a.md:6",
    ]
    assert str(missing_runner(first)).startswith("a.md:2: neither")
    assert missing_runner(second) == "a.md:6: tests/support/pages.py does not run it"
    assert missing_runner(third) is None


def test_the_comparison_of_answers_ignores_numbers_whitespace_and_ellipses() -> None:
    assert alike('{"ms":0.57, ...}', '{"ms":12,  "at":"x"}')
    assert not alike('{"ms":0.57, ...}', '{"s":0.57, "at":"x"}')
    assert not alike("ok", "ok, but")
