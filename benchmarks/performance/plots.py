"""Draws horizontal bars, as PNG and SVG; runs in an environment that has matplotlib: `python plots.py FOLDER`.

Standard input has a list of plots: file name, title, unit, whether the axis is logarithmic, and the series, each with a
value for each label (`null`: none).
"""

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
# The same figures give the same file.
mpl.rcParams["svg.hashsalt"] = "async-job"

from matplotlib import pyplot as plt  # noqa: E402

COLOURS = ("#1f5fa8", "#9bbfe4")


def draw(name: str, title: str, unit: str, logarithmic: bool, series: dict, folder: Path) -> None:
    labels = [label for label in next(iter(series.values())) if any(one[label] for one in series.values())]
    if not labels:
        return
    figure, axes = plt.subplots(figsize=(8, 0.9 + 0.42 * len(labels)), layout="constrained")
    height = 0.8 / len(series)
    for index, (legend, values) in enumerate(series.items()):
        places = [row + (index - (len(series) - 1) / 2) * height for row in range(len(labels))]
        lengths = [values[label] or 0 for label in labels]
        bars = axes.barh(places, lengths, height, label=legend, color=COLOURS[index])
        texts = [f"{length:,.0f}" if length >= 100 else f"{length:.1f}" if length else "" for length in lengths]
        axes.bar_label(bars, texts, padding=3, fontsize=7)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.set_title(title, fontsize=11)
    if logarithmic:
        axes.set_xscale("log")
    axes.margins(x=0.12, y=0.02)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(folder / f"{name}.png", dpi=130, metadata={"Software": None})
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


for plot in json.load(sys.stdin):
    draw(*plot, Path(sys.argv[1]))
