"""`make image-bench`: size and parts of the image, and the duration of its builds."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory


ROOT = Path(__file__).parent.parent
BASE = "python:3.13-slim-trixie"
DOCKERFILE = "docker/Dockerfile"
STAGES = ("production", "development")
LARGEST = 10


def run(*command: str) -> str:
    """Run a command, and return its output."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def build(stage: str, context: Path, *options: str) -> float:
    """Build a stage, and return the seconds it took."""
    started = time.monotonic()
    target = ("--target", stage, "--tag", tag(stage), "--file", str(context / DOCKERFILE))
    run("docker", "build", "--quiet", *target, *options, str(context))
    return time.monotonic() - started


def tag(stage: str) -> str:
    """Return the image name of a stage."""
    return f"vitals-benchmark:{stage}"


def size(image: str) -> float:
    """Return the unpacked size of an image in MB."""
    return int(run("docker", "image", "inspect", "--format", "{{.Size}}", image)) / 1e6


def copy_context(folder: Path) -> Path:
    """Copy the build context, so that the benchmark can change it."""
    names = ("app", "docker", "requirements", ".dockerignore", "LICENSE", "README.md")
    run("cp", "-r", *names, "pyproject.toml", str(folder))
    return folder


def builds(context: Path) -> Iterator[str]:
    """Build each stage twice: with pip's cache only, and after a change in app/."""
    yield f"{'stage':<12}{'MB':>8}{'added':>8}{'first build':>14}{'after a change':>16}"
    for stage in STAGES:
        first = build(stage, context, "--no-cache")
        with (context / "app/main.py").open("a") as source:
            source.write(f"# {time.time()}\n")
        # Otherwise the next build would leave it behind as an untagged image.
        run("docker", "image", "rm", tag(stage))
        again = build(stage, context)
        total = size(tag(stage))
        added = total - size(BASE)
        yield f"{stage:<12}{total:>8.1f}{added:>8.1f}{first:>12.1f} s{again:>14.1f} s"


def layers(image: str) -> list[tuple[float, str]]:
    """Return the size in MB and the command of each layer, newest first."""
    options = ("--human=false", "--no-trunc", "--format", "{{.Size}} {{.CreatedBy}}")
    lines = run("docker", "history", *options, image).splitlines()
    return [
        (int(size) / 1e6, command) for size, _, command in (line.partition(" ") for line in lines)
    ]


def packages(image: str) -> list[tuple[float, str]]:
    """Return the size in MB and the name of each Python package."""
    du = ("sh", "-c", "cd /opt/venv/lib/python3.*/site-packages && du -k -d1 | grep /")
    lines = [line.split() for line in run("docker", "run", "--rm", image, *du).splitlines()]
    return [(int(size) * 1.024e-3, name[2:]) for size, name in lines]


def parts(image: str) -> Iterator[str]:
    """Return the largest parts that an image adds to its base: layers and Python packages."""
    added = layers(image)
    added = added[: len(added) - len(layers(BASE))]
    split = [(size, f"layer: {command}") for size, command in added if "/opt/venv" not in command]
    yield f"\nThe {LARGEST} largest parts of the production image, in MB:"
    for size, name in sorted(split + packages(image), reverse=True)[:LARGEST]:
        yield f"{size:>8.1f}  {name[:64]}"


def main() -> None:
    """Measure and print; only the build cache remains."""
    try:
        with TemporaryDirectory() as folder:
            for line in builds(copy_context(Path(folder))):
                sys.stdout.write(f"{line}\n")
        sys.stdout.writelines(f"{line}\n" for line in parts(tag("production")))
    finally:
        run("docker", "image", "rm", "--force", *map(tag, STAGES))


if __name__ == "__main__":
    main()
