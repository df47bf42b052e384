"""Probe configurations that suit what the settings guarantee."""

from app.probe_config.guarantees import ANSWER, Guarantees, ProbeConfig, compute_guarantees
from app.probe_config.probe_settings import (
    ANSWER_RULE,
    FAIL_TIMEOUT_RULE,
    KEEPALIVE_RULE,
    OUTER_TIMEOUT_RULE,
    STARTUP_RULE,
    STOP_RULE,
    Rule,
    caddy,
    docker,
    haproxy,
    liveness_probe,
    nginx_fail_timeout,
    readiness_probe,
    rotation_rules,
    round_up_to_tens,
    startup_probe,
)


__all__ = [
    "ANSWER",
    "ANSWER_RULE",
    "FAIL_TIMEOUT_RULE",
    "KEEPALIVE_RULE",
    "OUTER_TIMEOUT_RULE",
    "STARTUP_RULE",
    "STOP_RULE",
    "Guarantees",
    "ProbeConfig",
    "Rule",
    "caddy",
    "compute_guarantees",
    "docker",
    "haproxy",
    "liveness_probe",
    "nginx_fail_timeout",
    "readiness_probe",
    "rotation_rules",
    "round_up_to_tens",
    "startup_probe",
]
