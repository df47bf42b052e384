"""The core: checks, their state machine, and the monitor. It does no I/O but read the clock."""

from app.health.history import History, LatencyTrend, Slot, Transition
from app.health.model import (
    Certificate,
    Check,
    Clock,
    Facts,
    Instant,
    Observation,
    Probe,
    Report,
    Result,
    Status,
    UnexpectedAnswerError,
)
from app.health.monitor import Monitor
from app.health.reasons import Reason


__all__ = [
    "Certificate",
    "Check",
    "Clock",
    "Facts",
    "History",
    "Instant",
    "LatencyTrend",
    "Monitor",
    "Observation",
    "Probe",
    "Reason",
    "Report",
    "Result",
    "Slot",
    "Status",
    "Transition",
    "UnexpectedAnswerError",
]
