from pathlib import Path

import pytest

from tests.repository.deploy.located import where


TEXT = """\
# A comment.
spec:
  containers:
    - {name: other, seconds: 1}
    - name: vitals
      # Another.
      probe: {period: 1}
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("spec", "containers", "other", "seconds"), 4),
        (("spec", "containers", "vitals", "probe", "period"), 7),
        (("spec", "containers", "vitals", "probe", "missing"), 7),
        (("spec", "containers", "missing", "probe"), 4),
        (("missing",), 2),
    ],
)
def test_a_value_is_found_by_its_path(tmp_path: Path, path: tuple[str, ...], line: int) -> None:
    """A missing value is reported at its innermost existing parent."""
    file = tmp_path / "file.yaml"
    file.write_text(TEXT)
    assert where(file, *path) == f"{file}:{line}"
