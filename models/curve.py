"""The course of a training as a picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

_SMOOTH = 0.9  # share of the past in the running mean of the loss


@dataclass
class History:
    """What was measured, and after how many steps.

    Attributes:
        losses: (step, loss of its batch).
        metrics: (step, metrics), after each epoch.
    """

    losses: list[tuple[int, float]] = field(default_factory=list)
    metrics: list[tuple[int, dict[str, float]]] = field(default_factory=list)


def draw_curve(history: History, title: str, path: Path) -> None:
    """Write a PNG: the loss above, accuracies below, over the same steps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Not by way of pyplot, which would look for a display and keep the figure for ever.
    figure = Figure(figsize=(8, 6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    steps = [step for step, _ in history.losses]
    losses = [loss for _, loss in history.losses]
    above.plot(steps, losses, color="tab:blue", alpha=0.25, linewidth=0.8, label="of a batch")
    above.plot(steps, _smoothed(losses), color="tab:blue", label="running mean")
    above.set_ylabel("train loss (nats)")
    above.set_ylim(bottom=0)
    epochs = [step for step, _ in history.metrics]
    for name, colour in (("train", "tab:blue"), ("test", "tab:orange")):
        values = [100 * metrics[f"{name}_accuracy"] for _, metrics in history.metrics]
        below.plot(epochs, values, "o-", markersize=4, color=colour, label=name)
    below.set_ylabel("accuracy (%)")
    below.set_ylim(0, 102)
    below.set_xlabel("step")
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.suptitle(title)
    figure.savefig(path)


def _smoothed(values: list[float]) -> list[float]:
    """Exponential running mean, corrected for its start."""
    mean, weight, result = 0.0, 0.0, []
    for value in values:
        mean = _SMOOTH * mean + (1 - _SMOOTH) * value
        weight = _SMOOTH * weight + (1 - _SMOOTH)
        result.append(mean / weight)
    return result
