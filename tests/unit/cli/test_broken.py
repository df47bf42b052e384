import psutil
import pytest

from tests.support.broken_settings import BROKEN, CANARY
from tests.unit.cli.conftest import Call


@pytest.mark.parametrize(("name", "value", "line"), BROKEN)
def test_serve_exits_with_78_on_an_invalid_setting(
    environ: pytest.MonkeyPatch, call: Call, name: str, value: str, line: str
) -> None:
    """The value appears in no output and in no process title."""
    environ.setenv(name, value)
    title = psutil.Process().cmdline()  # pytest may put the name of this test there
    code, out, err = call("serve")
    assert (code, out, err) == (78, "", f"vitals: {line}\n")
    assert CANARY not in err
    assert psutil.Process().cmdline() == title
