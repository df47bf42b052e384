"""The chart of the throughput."""

from pathlib import Path

import matplotlib as mpl


mpl.use("svg")

import matplotlib.pyplot as plt


OURS, OTHERS = "#1a7f37", "#8b949e"


def bars(title: str, ratios: dict[str, tuple[float, bool]], file: Path) -> None:
    """Draw the ratios as bars, largest first, with the service's own highlighted."""
    mpl.rcParams["svg.hashsalt"] = "vitals"  # equal figures give an identical file
    ordered = sorted(ratios.items(), key=lambda item: item[1][0])
    figure, axes = plt.subplots(figsize=(8, 0.4 * len(ordered) + 1), layout="constrained")
    colours = [OURS if ours else OTHERS for _, (_, ours) in ordered]
    drawn = axes.barh([name for name, _ in ordered], [r for _, (r, _) in ordered], color=colours)
    axes.bar_label(drawn, fmt="{:.3g}", padding=3)
    axes.set_xlabel(title)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None})
