import subprocess
from pathlib import Path

import pytest

from app.devservers import Valkey
from tests.service import on, running
from tests.system.servers import program


@pytest.mark.parametrize("details", ["always", "never"])
def test_promtool_finds_nothing_to_complain_about(
    valkey: Valkey, tmp_path: Path, details: str
) -> None:
    """Neither of what a running service tells nor of how it is called."""
    environ = {**on(valkey=valkey), "HEALTH_DETAILS": details}
    with running(environ, tmp_path / "log") as service:
        metrics = service.ask("/metrics").body
    assert (b'check="redis"' in metrics) is (details == "always")
    judged = subprocess.run(
        [str(program("promtool")), "check", "metrics"],
        input=metrics,
        capture_output=True,
        check=False,
    )
    assert (judged.returncode, judged.stderr) == (0, b"")
