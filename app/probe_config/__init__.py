"""How probers' terms and what the settings promise in time fit together."""

from app.probe_config.guarantees import ANSWER, Guarantees, Prober, promise
from app.probe_config.probe_settings import (
    Rule,
    answered,
    caddy,
    docker,
    haproxy,
    kubelet,
    let_go,
    liveness,
    nginx,
    outlasts,
    passed_over,
    rotation,
    started,
    startup,
    stopped,
    tens,
)


__all__ = [
    "ANSWER",
    "Guarantees",
    "Prober",
    "Rule",
    "answered",
    "caddy",
    "docker",
    "haproxy",
    "kubelet",
    "let_go",
    "liveness",
    "nginx",
    "outlasts",
    "passed_over",
    "promise",
    "rotation",
    "started",
    "startup",
    "stopped",
    "tens",
]
