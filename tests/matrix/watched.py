"""The service that watches a stage, and beside it a twin that watches nothing which breaks."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.faults.nameserver import command
from tests.matrix.priority import ANSWERING, hasten
from tests.matrix.row import Scene
from tests.matrix.stage import CHECKS, Stage
from tests.service import Service, on, running


# Whatever it should die of is told.
SUBJECT = (sys.executable, "-X", "faulthandler", "-m", "tests.matrix.subject")

# Seconds within which everything passes after the start.
UP = 10


@contextmanager
def watched(
    stage: Stage, scene: Scene, subject: Sequence[str] = SUBJECT
) -> Iterator[tuple[Service, Service]]:
    """Run both until the block ends; everything passes when it begins."""
    with running(
        {**stage.environ(), **scene.environ(stage)},
        stage.folder / "service",
        command(subject, stage.names.host),
    ) as service:
        for name in CHECKS:
            service.until(name, None, UP)
        with running(peaceful(stage), stage.folder / "twin", SUBJECT) as twin:
            twin.until(CHECKS[-1], None, UP)
            for one in (service, twin):
                hasten(one.process.pid, ANSWERING)
            yield service, twin


def peaceful(stage: Stage) -> dict[str, str]:
    """The settings of as many checks, of what nothing befalls."""
    calm = {"url": f"http://127.0.0.1:{stage.calm.port}/"}
    names = ("first", "second", CHECKS[-1])
    return {**on(), "HTTP_CHECKS": json.dumps(dict.fromkeys(names, calm))}
