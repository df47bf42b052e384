import subprocess
from pathlib import Path

import pytest

from tests.support.devservers import Valkey
from tests.support.service import on, running
from tests.system.servers import program


@pytest.mark.parametrize("details", ["always", "never"])
def test_promtool_accepts_the_metrics(valkey: Valkey, tmp_path: Path, details: str) -> None:
    """Names, types and help texts of a running service pass its linter."""
    environ = {**on(valkey=valkey), "HEALTH_DETAILS": details}
    with running(environ, tmp_path / "log") as service:
        metrics = service.ask("/metrics").body
    assert (b'check="redis"' in metrics) is (details == "always")
    done = subprocess.run(
        [str(program("promtool")), "check", "metrics"],
        input=metrics,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
