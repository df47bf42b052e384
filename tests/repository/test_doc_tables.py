import re
from pathlib import Path

import pytest

from app import __version__
from tests.repository.doc_tables import TABLE, TABLES, VERSION, WITH_VERSION, update
from tests.support.pages import PAGES


WITH_TABLES = [name for name, page in PAGES.items() if TABLE.search(page)]


@pytest.mark.parametrize("name", WITH_TABLES)
def test_the_tables_of_a_page_are_current(name: str) -> None:
    """`make docs-tables` writes them."""
    assert update(PAGES[name]) == PAGES[name]


@pytest.mark.parametrize("name", WITH_TABLES)
def test_every_row_has_prose(name: str) -> None:
    """A new setting, option or kind gets a row without a meaning, which someone has to write."""
    rows = [row for table in TABLE.finditer(PAGES[name]) for row in table[3].splitlines()]
    assert rows
    assert not [row for row in rows if row.endswith("| |")]


@pytest.mark.parametrize("file", WITH_VERSION, ids=lambda file: file.name)
def test_a_file_has_the_version_of_the_package(file: Path) -> None:
    """`make docs-tables` writes it."""
    assert {found[0].partition(found[1])[2] for found in VERSION.finditer(file.read_text())} <= {
        __version__
    }


def test_the_version_of_a_label_and_of_an_image_follows_the_package() -> None:
    """That of an image in a registry does not."""
    old = "ARG VERSION=0.0.1\nimage: vitals:0.0.1\nregistry.example.com/vitals:0.0.1\n"
    new = f"ARG VERSION={__version__}\nimage: vitals:{__version__}\n"
    assert update(old) == f"{new}registry.example.com/vitals:0.0.1\n"


def test_every_table_is_on_a_page() -> None:
    found = [table[2] for page in PAGES.values() for table in TABLE.finditer(page)]
    assert sorted(found) == sorted(TABLES)


def test_a_table_gets_the_facts_of_the_code_and_keeps_the_prose() -> None:
    """Rows keep their order and their groups. A setting that is gone loses its row."""
    page = PAGES["docs/settings.md"]
    row = re.search(r"\| `CHECK_INTERVAL`, `CHECK_TIMEOUT` \|.*\n", page)
    assert row
    spoiled = page.replace(row[0], "| `CHECK_INTERVAL`, `GONE` | 7 | x | prose |\n")
    lines = update(spoiled).splitlines()
    seconds = "a number of seconds from 0.01 to 86400"
    assert f"| `CHECK_INTERVAL` | 1 | {seconds} | prose |" in lines
    assert f"| `CHECK_TIMEOUT` | 1 | {seconds} | |" in lines
    assert not any("GONE" in line for line in lines)
