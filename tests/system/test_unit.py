"""The unit of systemd, judged by systemd's own tools."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.probe_config import compute_guarantees
from app.settings import Settings
from tests.support.pages import shown
from tests.support.service import ROOT
from tests.system.servers import program


UNIT = ROOT / "deploy/systemd/vitals.service"


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze, which needs no running systemd."""
    command = [str(program("systemd-analyze")), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_is_valid(tmp_path: Path) -> None:
    """Each option is known and has a valid value, and the program exists."""
    unit = tmp_path / "vitals.service"
    unit.write_text(UNIT.read_text().replace("/opt/vitals/bin/vitals", f"{sys.prefix}/bin/vitals"))
    done = analyze("verify", unit)
    assert done.returncode == 0
    assert "vitals" not in done.stderr  # the other lines are about units of this machine


def test_an_invalid_option_is_noticed(tmp_path: Path) -> None:
    unit = tmp_path / "vitals.service"
    unit.write_text(UNIT.read_text().replace("WatchdogSec=30", "WatchdogSec=soon"))
    assert "vitals.service:" in analyze("verify", unit).stderr


def test_the_credentials_of_the_page_are_valid(tmp_path: Path) -> None:
    """As `systemctl edit` adds them."""
    (block,) = shown("docs/native.md", "Secrets from LoadCredential")
    unit = tmp_path / "vitals.service"
    unit.write_text(UNIT.read_text().replace("/opt/vitals/bin/vitals", f"{sys.prefix}/bin/vitals"))
    drop_in = tmp_path / "vitals.service.d/override.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(block.text)
    done = analyze("verify", unit)
    assert (done.returncode, "vitals" in done.stderr) == (0, False)


def test_its_exposure_is_below_two() -> None:
    """Of ten. Most services without hardening have more than nine."""
    done = analyze("security", "--offline=true", "--threshold=20", "--no-pager", UNIT)
    assert done.returncode == 0, done.stdout
    assert re.search(r"Overall exposure level for vitals\.service: [01]\.\d OK", done.stdout)


@pytest.mark.parametrize("name", ["User", "CapabilityBoundingSet", "SystemCallFilter"])
def test_a_weaker_unit_has_a_higher_exposure(name: str, tmp_path: Path) -> None:
    unit = tmp_path / "vitals.service"
    unit.write_text(re.sub(rf"^{name}=.*$", "", UNIT.read_text(), flags=re.MULTILINE))
    before, after = (
        float(re.findall(r"level for vitals\.service: ([\d.]+)", analyze(*command).stdout)[0])
        for command in (
            ("security", "--offline=true", "--no-pager", UNIT),
            ("security", "--offline=true", "--no-pager", unit),
        )
    )
    assert after > before


def test_it_waits_for_the_drain_and_the_open_requests() -> None:
    """Before systemd sends SIGKILL. The restarts have no end."""
    terms = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE))
    assert float(terms["TimeoutStopSec"]) >= compute_guarantees(Settings()).shutdown
    assert (terms["KillSignal"], terms["Restart"], terms["StartLimitIntervalSec"]) == (
        "SIGTERM",
        "always",
        "0",
    )
