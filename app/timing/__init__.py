"""How probers' terms and what the settings promise in time fit together."""

from app.timing.prober import Prober
from app.timing.promise import ANSWER, Promise, promise
from app.timing.rules import (
    Rule,
    answered,
    let_go,
    outlasts,
    passed_over,
    rotation,
    started,
    stopped,
)
from app.timing.terms import caddy, docker, haproxy, kubelet, liveness, nginx, startup, tens


__all__ = [
    "ANSWER",
    "Prober",
    "Promise",
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
