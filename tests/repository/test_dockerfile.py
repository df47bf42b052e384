"""The Dockerfile, as far as no Docker engine is needed. tests/image tests the image."""

import re
import subprocess
import sys
from pathlib import Path

from tests.support.service import ROOT


def test_hadolint_finds_no_problem_in_the_dockerfile() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    linted = subprocess.run(
        (hadolint, "docker/Dockerfile"), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (linted.stdout, linted.returncode) == ("", 0)


def own_check() -> str:
    """Return the command of the image's health check, in one line."""
    text = (ROOT / "docker/Dockerfile").read_text().replace("\\\n", "")
    return " ".join(re.findall(r"^HEALTHCHECK .* CMD (case .*)$", text, re.MULTILINE)[-1].split())
