import os
import shutil
import subprocess
from pathlib import Path

import pytest

from app.settings.secrets import SECRETS
from tests.unit.cli.conftest import Call, end, start


# Root reads everything, but for its capabilities.
PLAINLY = () if os.geteuid() else ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


def in_order(folder: Path) -> str:
    """Return the line for a folder in which nothing is wrong."""
    return f"folder: {folder} has mode 0700."


def test_check_accepts_what_init_creates(full: Path, call: Call) -> None:
    """With one line for each secret."""
    lines = [*(f"{name}: {full}/{name}.txt is readable." for name in SECRETS), in_order(full)]
    assert call("secrets", "check", "--dir", full) == (0, "\n".join([*lines, ""]), "")


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        ("rm {file}", "{file} is missing. Run vitals secrets init."),
        ("chmod 600 {file}", "{file} has mode 0600. Run chmod 0444 on it."),
        ("chmod 644 {file}", "{file} has mode 0644. Run chmod 0444 on it."),
        ("chmod 600 {file}; : > {file}", "{file} is empty. Write the secret into it."),
        (
            r"chmod 600 {file}; printf 'CANARY\377' > {file}",
            "{file} is not UTF-8. Save it as UTF-8.",
        ),
        (
            r"chmod 600 {file}; printf '\377\376C\0' > {file}",
            "{file} is not UTF-8, but probably UTF-16. Save it as UTF-8.",
        ),
        (
            "rm {file}; mkdir {file}",
            "{file} is not a file. Replace it with a file.",
        ),
        (
            "rm {file}; ln -s nowhere {file}",
            "{file} is a broken link. Remove it, or create its target.",
        ),
        (
            "cp {file} {folder}/jwt_secret; chmod 444 {folder}/jwt_secret",
            "Both {folder}/jwt_secret and {file} exist. Keep one.",
        ),
        (
            "cp {file} {folder}/jwt_secret; chmod 400 {folder}/jwt_secret",
            (
                "Both {folder}/jwt_secret and {file} exist. Keep one. "
                "{folder}/jwt_secret has mode 0400. Run chmod 0444 on it."
            ),
        ),
    ],
)
def test_check_reports_each_problem_with_its_remedy(
    full: Path, call: Call, harm: str, line: str
) -> None:
    """In one line for each secret, without its content."""
    names = {"file": f"{full}/jwt_secret.txt", "folder": full}
    subprocess.run(["sh", "-c", harm.format(**names)], check=True)  # noqa: S607  # any will do
    result = call("secrets", "check", "--dir", full)
    assert (result.code, result.err) == (1, "")
    lines = result.out.splitlines()
    assert lines.pop(2) == f"jwt_secret: {line.format(**names)}"
    others = [f"{name}: {full}/{name}.txt is readable." for name in SECRETS if name != "jwt_secret"]
    assert lines == [*others, in_order(full)]


@pytest.mark.parametrize(
    ("content", "hints"),
    [
        ("\ufeffCANARY", ["begins with a byte order mark. Save it as UTF-8 without one."]),
        ("'CANARY'", ["is in quotes, which are part of the secret. Remove them."]),
        (
            'JWT_SECRET="CANARY" ',
            [
                (
                    "begins or ends with a space or a line break, which is part of the secret. "
                    "Remove it."
                ),
                "looks like NAME=value. Keep only the value.",
            ],
        ),
    ],
)
def test_check_prints_hints(full: Path, call: Call, content: str, hints: list[str]) -> None:
    """They are no failure, and show nothing of the secret."""
    file = full / "jwt_secret.txt"
    file.chmod(0o644)
    file.write_text(content)
    file.chmod(0o444)
    code, out, err = call("secrets", "check", "--dir", full)
    assert (code, err) == (0, "")
    found = " ".join(f"{file} {hint}" for hint in hints)
    assert out.splitlines()[2] == f"jwt_secret: {file} is readable. {found}"
    assert "CANARY" not in out


def test_the_paths_are_absolute(full: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of the default folder, so that the reader sees which checkout it belongs to."""
    monkeypatch.chdir(full.parent)
    for command, words in (("init", "kept "), ("check", "")):
        assert call("secrets", command).out.startswith(f"postgres_password: {words}{full}/")


def test_a_link_to_the_other_name_is_accepted(full: Path, call: Call) -> None:
    """Both lead to one file."""
    (full / "jwt_secret").symlink_to("jwt_secret.txt")
    assert call("secrets", "check", "--dir", full).code == 0


def test_check_reports_a_folder_that_others_can_enter(full: Path, call: Call) -> None:
    """The files themselves are readable by every user."""
    full.chmod(0o755)
    result = call("secrets", "check", "--dir", full)
    assert result.code == 1
    assert result.out.splitlines()[-1] == f"folder: {full} has mode 0755. Run chmod 0700 on it."


def test_check_reports_a_file_in_git(full: Path, call: Call) -> None:
    """Without git nothing is reported."""
    git = shutil.which("git")
    assert git, "install git"
    subprocess.run([git, "init", "--quiet", full], check=True)
    full.chmod(0o700)
    subprocess.run([git, "-C", full, "add", "jwt_secret.txt"], check=True)
    file = f"{full}/jwt_secret.txt"
    result = call("secrets", "check", "--dir", full)
    assert result.code == 1
    assert result.out.splitlines()[2] == (
        f"jwt_secret: {file} is in git. Run git rm --cached {file}, "
        "then vitals secrets rotate jwt_secret."
    )
    assert end(start("secrets", "check", "--dir", full, PATH="")).code == 0


def test_check_reports_a_file_that_it_can_not_read(full: Path) -> None:
    """With the user, the owner and the mode."""
    if PLAINLY and not shutil.which(PLAINLY[0]):
        pytest.skip("root can't be made to obey modes here")
    (full / "jwt_secret.txt").chmod(0)
    result = end(start("secrets", "check", "--dir", full, before=PLAINLY))
    uid = os.geteuid()
    assert (result.code, result.err) == (1, "")
    assert result.out.splitlines()[2] == (
        f"jwt_secret: {full}/jwt_secret.txt can't be read by uid {uid} "
        f"(owner {uid}, mode 0000). Set its mode to 0444, and that of its folder to 0700."
    )
    full.chmod(0)
    line = f"vitals: uid {uid} can't enter {full}. Run this as its owner.\n"
    for command in (("check",), ("rotate", "jwt_secret")):
        assert end(start("secrets", *command, "--dir", full, before=PLAINLY)) == (1, "", line)
    full.chmod(0o700)
