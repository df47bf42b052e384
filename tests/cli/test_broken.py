import psutil
import pytest

from tests.broken_settings import BROKEN, CANARY
from tests.cli.conftest import Call


@pytest.mark.parametrize(("name", "value", "line"), BROKEN)
def test_a_bad_setting_ends_the_service_before_it_begins(
    environ: pytest.MonkeyPatch, call: Call, name: str, value: str, line: str
) -> None:
    """Exit code 78 and its line; its value is in no output and in no title of a process."""
    environ.setenv(name, value)
    title = psutil.Process().cmdline()  # in which pytest may tell the name of this test
    code, out, err = call("serve")
    assert (code, out, err) == (78, "", f"vitals: {line}\n")
    assert CANARY not in err
    assert psutil.Process().cmdline() == title
