from collections.abc import Iterator

import pytest

from tests.api.desk import Desk


@pytest.fixture(name="desk")
def _desk() -> Iterator[Desk]:
    desk = Desk()
    with desk.client:
        yield desk
