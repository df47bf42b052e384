"""The core: what is checked, how it is judged and what is known; no I/O but the clock."""

from app.health.check import Check, Probe
from app.health.clock import Clock, Instant
from app.health.history import History, Transition
from app.health.monitor import Monitor
from app.health.report import Observation, Report, Result
from app.health.status import Reason, Status
from app.health.trend import Slot, Trend


__all__ = [
    "Check",
    "Clock",
    "History",
    "Instant",
    "Monitor",
    "Observation",
    "Probe",
    "Reason",
    "Report",
    "Result",
    "Slot",
    "Status",
    "Transition",
    "Trend",
]
