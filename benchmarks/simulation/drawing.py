"""Charts of simulated outages."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl

from benchmarks.simulation.stories import Outage


mpl.use("svg")

import matplotlib.pyplot as plt


COLOURS = ("#1a7f37", "#0969da", "#bf8700", "#cf222e", "#8250df")


def draw(title: str, runs: Mapping[str, Outage], until: float, file: Path) -> None:
    """Draw the share of ready instances and the connection attempts over time."""
    mpl.rcParams["svg.hashsalt"] = "vitals"  # equal figures give an identical file
    mpl.rcParams["svg.fonttype"] = "none"
    figure, (above, below) = plt.subplots(2, sharex=True, figsize=(8, 5), layout="constrained")
    for colour, (name, run) in zip(COLOURS, runs.items(), strict=False):
        seen = {at: share for at, share in run.ready.items() if -3 <= at <= until}
        above.plot([*seen], [*seen.values()], color=colour, label=name.replace("`", ""))
        seconds = range(-3, int(until))
        below.stairs(
            [run.attempts[second] for second in seconds], [*seconds, int(until)], color=colour
        )
    above.set_ylabel("share of ready instances")
    below.set_ylabel("connection attempts/s")
    below.set_xlabel(title)
    above.legend(frameon=False, fontsize="small")
    for axes in (above, below):
        axes.axvspan(0, next(iter(runs.values())).length, color="#eaeef2", zorder=0)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None})
