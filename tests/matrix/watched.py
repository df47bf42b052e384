"""The service that watches a stage, and beside it a twin that watches nothing which breaks."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.nameserver import command
from tests.matrix.row import Scene
from tests.matrix.stage import CHECKS, Stage
from tests.service import Service, on, running


SUBJECT = (sys.executable, "-m", "tests.matrix.subject")

# Seconds within which everything passes after the start.
UP = 10


@contextmanager
def watched(stage: Stage, scene: Scene) -> Iterator[tuple[Service, Service]]:
    """Run both until the block ends; everything passes when it begins."""
    with running(
        {**stage.environ(), **scene.environ(stage)},
        stage.folder / "service",
        command(SUBJECT, stage.names.host),
    ) as service:
        for name in CHECKS:
            service.until(name, None, UP)
        alive = {"url": f"http://127.0.0.1:{service.port}/health/live"}
        peaceful = {**on(), "HTTP_CHECKS": json.dumps({"service": alive})}
        with running(peaceful, stage.folder / "twin", SUBJECT) as twin:
            twin.until("service", None, UP)
            yield service, twin
