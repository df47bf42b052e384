"""The linter of Dockerfiles, which needs no engine: tests/image has what does."""

import re
import subprocess
import sys
from pathlib import Path

from tests.service import ROOT


def test_the_linter_finds_nothing() -> None:
    """Every rule holds but those that a line says otherwise of, with its reason."""
    hadolint = Path(sys.executable).with_name("hadolint")
    linted = subprocess.run(
        (hadolint, "docker/Dockerfile"), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (linted.stdout, linted.returncode) == ("", 0)


def own_check() -> str:
    """Return the command of the image's own health check, in one line."""
    text = (ROOT / "docker/Dockerfile").read_text().replace("\\\n", "")
    return " ".join(re.findall(r"^HEALTHCHECK .* CMD (case .*)$", text, re.MULTILINE)[-1].split())
