from collections.abc import Iterator

import pytest

from tests.unit.api.scene import ApiClient


@pytest.fixture(name="api_client")
def _api_client() -> Iterator[ApiClient]:
    with ApiClient() as api_client:
        yield api_client
