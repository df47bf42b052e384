"""Random faults of stores that span machines: a client that writes agrees with the check."""

import pytest

from tests.system.store_storms import STORMS, Storm


pytestmark = pytest.mark.alone


@pytest.mark.parametrize("storm", STORMS, ids=lambda storm: storm.name)
async def test_a_client_that_writes_agrees_with_the_check(storm: Storm) -> None:
    """Except for the limit."""
    witness = await storm.run(seed="29")
    print(f"{storm.name}: at most {witness.longest:.2f} s, {witness.results}")  # noqa: T201
    assert min(witness.results.values()) > 0
    assert witness.longest < storm.limit, witness.longest
