"""What the image weighs, what makes it up, and what its builds take: `make image-bench`."""

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
    """Run a command, and tell what it says."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def built(stage: str, context: Path, *options: str) -> float:
    """Build a stage, and tell how many seconds it took."""
    begun = time.monotonic()
    target = ("--target", stage, "--tag", tag(stage), "--file", str(context / DOCKERFILE))
    run("docker", "build", "--quiet", *target, *options, str(context))
    return time.monotonic() - begun


def tag(stage: str) -> str:
    """Name the image of a stage."""
    return f"vitals-benchmark:{stage}"


def size(image: str) -> float:
    """Tell how many MB an image has, unpacked."""
    return int(run("docker", "image", "inspect", "--format", "{{.Size}}", image)) / 1e6


def copied(folder: Path) -> Path:
    """Copy what a build reads, so that it can be changed."""
    names = ("app", "docker", "requirements", ".dockerignore", "LICENSE", "README.md")
    run("cp", "-r", *names, "pyproject.toml", str(folder))
    return folder


def builds(context: Path) -> Iterator[str]:
    """Build each stage twice: from nothing but pip's downloads, and after a change in app/."""
    yield f"{'stage':<12}{'MB':>8}{'added':>8}{'first build':>14}{'after a change':>16}"
    for stage in STAGES:
        first = built(stage, context, "--no-cache")
        with (context / "app/main.py").open("a") as source:
            source.write(f"# {time.time()}\n")
        # Otherwise it stays, without a name.
        run("docker", "image", "rm", tag(stage))
        again = built(stage, context)
        total = size(tag(stage))
        added = total - size(BASE)
        yield f"{stage:<12}{total:>8.1f}{added:>8.1f}{first:>12.1f} s{again:>14.1f} s"


def layers(image: str) -> list[tuple[float, str]]:
    """Tell what each layer weighs and what made it, the newest first."""
    form = ("--human=false", "--no-trunc", "--format", "{{.Size}} {{.CreatedBy}}")
    lines = run("docker", "history", *form, image).splitlines()
    return [
        (int(size) / 1e6, command) for size, _, command in (line.partition(" ") for line in lines)
    ]


def packages(image: str) -> list[tuple[float, str]]:
    """Tell what each of Python's packages weighs."""
    du = ("sh", "-c", "cd /opt/venv/lib/python3.*/site-packages && du -k -d1 | grep /")
    lines = [line.split() for line in run("docker", "run", "--rm", image, *du).splitlines()]
    return [(int(size) * 1.024e-3, name[2:]) for size, name in lines]


def parts(image: str) -> Iterator[str]:
    """Tell what weighs most of what an image adds: its layers, and that of the packages by each."""
    added = layers(image)
    added = added[: len(added) - len(layers(BASE))]
    split = [(size, f"layer: {command}") for size, command in added if "/opt/venv" not in command]
    yield f"\nThe {LARGEST} largest parts of what production adds, in MB:"
    for size, name in sorted(split + packages(image), reverse=True)[:LARGEST]:
        yield f"{size:>8.1f}  {name[:64]}"


def main() -> None:
    """Measure and print; nothing is left but the cache."""
    try:
        with TemporaryDirectory() as folder:
            for line in builds(copied(Path(folder))):
                sys.stdout.write(f"{line}\n")
        sys.stdout.writelines(f"{line}\n" for line in parts(tag("production")))
    finally:
        run("docker", "image", "rm", "--force", *map(tag, STAGES))


if __name__ == "__main__":
    main()
