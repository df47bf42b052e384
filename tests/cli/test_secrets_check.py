import os
import shutil
import subprocess
from pathlib import Path

import pytest

from app.settings.secrets import SECRETS
from tests.cli.conftest import Call, end, start


# Root reads everything, but for its capabilities.
PLAINLY = () if os.geteuid() else ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


def test_check_finds_nothing_wrong_with_what_init_makes(full: Path, call: Call) -> None:
    """One line each."""
    ok = "".join(f"{name}: ok\n" for name in (*SECRETS, "folder"))
    assert call("secrets", "check", "--dir", full) == (0, ok, "")


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        ("rm {file}", "{file} is missing: make it with vitals secrets init"),
        ("chmod 600 {file}", "{file} has mode 0600: chmod 0444 it"),
        ("chmod 644 {file}", "{file} has mode 0644: chmod 0444 it"),
        ("chmod 600 {file}; : > {file}", "{file} is empty: write the secret into it"),
        (
            r"chmod 600 {file}; printf 'CANARY\377' > {file}",
            "{file} is not UTF-8: write it again as text",
        ),
        (
            r"chmod 600 {file}; printf '\377\376C\0' > {file}",
            "{file} is not UTF-8, but looks like UTF-16: save it as UTF-8",
        ),
        (
            "rm {file}; mkdir {file}",
            "{file} is not a file: remove it and put a file in its place",
        ),
        (
            "rm {file}; ln -s nowhere {file}",
            "{file} leads nowhere: remove the link, or make what it names",
        ),
        (
            "cp {file} {folder}/jwt_secret; chmod 444 {folder}/jwt_secret",
            "{folder}/jwt_secret and {file} both offer it: keep one",
        ),
        (
            "cp {file} {folder}/jwt_secret; chmod 400 {folder}/jwt_secret",
            (
                "{folder}/jwt_secret and {file} both offer it: keep one; "
                "{folder}/jwt_secret has mode 0400: chmod 0444 it"
            ),
        ),
    ],
)
def test_check_tells_what_is_wrong_and_what_mends_it(
    full: Path, call: Call, harm: str, line: str
) -> None:
    """In one line for each secret, and never what is in it."""
    names = {"file": f"{full}/jwt_secret.txt", "folder": full}
    subprocess.run(["sh", "-c", harm.format(**names)], check=True)  # noqa: S607  # any will do
    result = call("secrets", "check", "--dir", full)
    assert (result.code, result.err) == (1, "")
    lines = result.out.splitlines()
    assert lines.pop(2) == f"jwt_secret: {line.format(**names)}"
    assert lines == [f"{name}: ok" for name in (*SECRETS, "folder") if name != "jwt_secret"]


@pytest.mark.parametrize(
    ("content", "hints"),
    [
        ("\ufeffCANARY", ["begins with a byte order mark: save it as UTF-8 without one"]),
        ("'CANARY'", ["stands in quotes, which are part of it: remove them"]),
        (
            'JWT_SECRET="CANARY" ',
            [
                "begins or ends with a blank or a line break, which is part of it: remove it",
                "reads like NAME=value: keep the value alone",
            ],
        ),
    ],
)
def test_check_hints_at_what_may_be_wrong(
    full: Path, call: Call, content: str, hints: list[str]
) -> None:
    """It may be meant, so that is no failure, and nothing of it is shown."""
    file = full / "jwt_secret.txt"
    file.chmod(0o644)
    file.write_text(content)
    file.chmod(0o444)
    code, out, err = call("secrets", "check", "--dir", full)
    assert (code, err) == (0, "")
    words = ["ok", *(f"{file} {hint}" for hint in hints)]
    assert out.splitlines()[2] == f"jwt_secret: {', but '.join(words)}"
    assert "CANARY" not in out


def test_a_link_to_the_other_name_is_no_second_file(full: Path, call: Call) -> None:
    """Both lead to one."""
    (full / "jwt_secret").symlink_to("jwt_secret.txt")
    assert call("secrets", "check", "--dir", full).code == 0


def test_check_wants_the_folder_closed(full: Path, call: Call) -> None:
    """Files that everyone may read are no secret in an open one."""
    full.chmod(0o755)
    result = call("secrets", "check", "--dir", full)
    assert result.code == 1
    assert result.out.splitlines()[-1] == f"folder: {full} has mode 0755: chmod 0700 it"


def test_check_finds_what_git_keeps(full: Path, call: Call) -> None:
    """The history of a repository is forever; without git nothing can be known."""
    if not (git := shutil.which("git")):
        pytest.skip("there is no git")
    subprocess.run([git, "init", "--quiet", full], check=True)
    full.chmod(0o700)
    subprocess.run([git, "-C", full, "add", "jwt_secret.txt"], check=True)
    file = f"{full}/jwt_secret.txt"
    result = call("secrets", "check", "--dir", full)
    assert result.code == 1
    assert result.out.splitlines()[2] == (
        f"jwt_secret: {file} is in git: git rm --cached it, then vitals secrets rotate jwt_secret"
    )
    assert end(start("secrets", "check", "--dir", full, PATH="")).code == 0


def test_check_tells_what_it_can_not_look_into(full: Path) -> None:
    """Who asks, and who should."""
    if PLAINLY and not shutil.which(PLAINLY[0]):
        pytest.skip("root can't be made to obey modes here")
    (full / "jwt_secret.txt").chmod(0)
    result = end(start("secrets", "check", "--dir", full, before=PLAINLY))
    uid = os.geteuid()
    assert (result.code, result.err) == (1, "")
    assert result.out.splitlines()[2] == (
        f"jwt_secret: {full}/jwt_secret.txt can't be read by uid {uid} "
        f"(owner {uid}, mode 0000): chmod 0444 it and keep its folder 0700"
    )
    full.chmod(0)
    line = f"vitals: {full} can't be entered by uid {uid}: try as its owner\n"
    for command in (("check",), ("rotate", "jwt_secret")):
        assert end(start("secrets", *command, "--dir", full, before=PLAINLY)) == (1, "", line)
    full.chmod(0o700)
