"""Pictures of what training takes: memory by part, seconds by phase, and what to watch while it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from radvlm_course.models.compute import StageTime
from radvlm_course.models.memory import GIB, RESERVED, StageMemory
from radvlm_course.scaling import with_token_rate
from radvlm_course.viz import style
from radvlm_course.viz.curves import Panel, grpo_curves

__all__ = ["WATCH_PANELS", "draw_memory", "draw_phases", "draw_token_budget", "watch_curves"]

_ROW = 0.34  # inches
_MORE = ("#7B4EA3", "#A6761D", "#999999", "#7FC97F", "#F4A6A6", "#1B4F5C", "#C9B2E0", "#8C2D04")
_COLOURS = (*style.SERIES, style.TRUTH, style.PREDICTION, *_MORE)

WATCH_PANELS = (
    Panel("Reward (higher is better)", {"reward": "reward"}, "flat from the start: see the spread"),
    Panel("Groups without spread (share)", {"frac_reward_zero_std": "share"}, "above a half: little to learn from"),
    Panel("KL from the starting model", {"kl": "KL"}, "grows slowly; a jump is a warning"),
    Panel("Entropy (nats a token)", {"entropy": "entropy"}, "near 0: all answers of a group are alike"),
    Panel(
        "Tokens outside the clip (share)",
        {"clip_ratio/region_mean": "either side", "clip_ratio/high_mean": "above", "clip_ratio/low_mean": "below"},
        "0 with one update a generation",
    ),
    Panel(
        "Length of completions (tokens)",
        {"completions/mean_length": "mean", "completions/max_length": "longest"},
        "shrinks or grows without need: gamed",
    ),
    Panel("Answers cut off (share)", {"completions/clipped_ratio": "share"}, "above a few percent: too short a limit"),
    Panel("Tokens a second", {"tokens_per_second": "tokens a second"}, "falls: longer answers, or a slow reward"),
    Panel("Norm of the gradient", {"grad_norm": "norm"}, "spikes: a lower learning rate"),
)


@style.styled
def draw_memory(memories: Mapping[str, StageMemory], card_gb: Mapping[str, float], title: str = "") -> Figure:
    """What lies on one GPU at the peak, part by part, and where the card ends.

    Args:
        memories: name of a bar -> its memory; the phase that takes most is drawn.
        card_gb: name of a bar -> the card's memory in GB of 2**30 bytes.

    Raises:
        ValueError: there is no bar.
    """
    if not memories:
        raise ValueError("expected at least one stage to draw, found none")
    bars = {name: _parts_at_peak(memory) for name, memory in memories.items()}
    figure, axes = _stacked_bars(bars, "GB on each GPU", title)
    for position, name in enumerate(bars):
        end = card_gb[name]
        axes.plot([end, end], [position - 0.42, position + 0.42], color=style.INK, linewidth=2)
        beside = max(end, sum(bars[name].values()))
        axes.annotate(f" card: {end:g} GB", (beside, position), fontsize=8, va="center")
    axes.set_xlim(0, 1.16 * max([*card_gb.values(), *(sum(parts.values()) for parts in bars.values())]))
    return figure


@style.styled
def draw_phases(times: Mapping[str, StageTime], title: str = "", shares: bool = True) -> Figure:
    """What an update spends its time on.

    Args:
        times: name of a bar -> its time.
        shares: draw shares of the update, with its seconds in the name; otherwise seconds.

    Raises:
        ValueError: there is no bar.
    """
    if not times:
        raise ValueError("expected at least one stage to draw, found none")
    bars: dict[str, dict[str, float]] = {}
    for name, time in times.items():
        label = f"{name} ({time.seconds:.3g} s)" if shares else name
        bars[label] = {part: value / (time.seconds if shares else 1) for part, value in time.phases.items()}
    figure, axes = _stacked_bars(bars, "share of an update" if shares else "seconds of an update", title)
    if shares:
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return figure


@style.styled
def draw_token_budget(tokens: Mapping[str, int], memory_gb: Mapping[str, float], title: str = "") -> Figure:
    """Visual tokens of one film under several limits, and the memory of a stage under each.

    Args:
        tokens: name of a limit -> visual tokens. memory_gb: the same names -> GB on the GPU.
    """
    if not tokens or set(tokens) != set(memory_gb):
        raise ValueError(f"expected the same limits twice, found {list(tokens)} and {list(memory_gb)}")
    names = list(tokens)
    label = max(style.text_width(name, 9.5) for name in names) + 0.25
    top, body = (0.65 if title else 0.35), _ROW * len(names) + 0.1
    figure = style.new_figure(label + 7.6, top + body + 0.2)
    panels = (("visual tokens of a film", tokens, "{:,.0f}"), ("GB on the GPU", memory_gb, "{:.1f}"))
    for column, (heading, values, shown) in enumerate(panels):
        axes = style.axes_at(figure, label + 3.7 * column, top, 3.1, body)
        axes.barh(range(len(names)), [values[name] for name in names], color=style.SERIES[column], height=0.66)
        axes.set_yticks(range(len(names)), names if column == 0 else [])
        axes.tick_params(axis="y", length=0, labelsize=9.5)
        axes.set_ylim(len(names) - 0.45, -0.55)
        axes.set_title(heading)
        axes.set_xticks([])
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        for position, name in enumerate(names):
            axes.annotate(" " + shown.format(values[name]), (values[name], position), va="center", fontsize=8.5)
        axes.margins(x=0.18)
    if title:
        style.page(figure).text(0.12, 0.2, style.printable(title), va="center", fontsize=10.5)
    return figure


def watch_curves(rows: Iterable[Mapping[str, Any]], title: str = "", panels: Sequence[Panel] = WATCH_PANELS) -> Figure:
    """Everything to look at while GRPO runs, from the rows of ``metrics.jsonl``; each panel says what to fear.

    Raises:
        CurveError: none of it was logged.
    """
    return grpo_curves(list(with_token_rate(rows)), title, panels=panels)


def _parts_at_peak(memory: StageMemory) -> dict[str, float]:
    """Part -> GB of the largest phase, small parts of what comes and goes put together."""
    phase = memory.phases[memory.largest_phase()]
    parts = {name: value / GIB for name, value in {**memory.permanent, **phase}.items()}
    parts["assumed: context, allocator"] = RESERVED / GIB
    return parts


def _stacked_bars(bars: Mapping[str, Mapping[str, float]], unit: str, title: str) -> tuple[Figure, Axes]:
    """One row for each bar; what is under a hundredth of the longest bar goes into ``other``."""
    least = 0.01 * max(sum(parts.values()) for parts in bars.values())
    large = [part for parts in bars.values() for part, value in parts.items() if value >= least]
    names = list(dict.fromkeys(large))
    label = min(3.2, max(style.text_width(style.printable(name), 9.5) for name in bars) + 0.25)
    top, body = (0.42 if title else 0.12), _ROW * len(bars) + 0.1
    columns = 3
    below = 0.6 + 0.2 * -(-(len(names) + 1) // columns)
    figure = style.new_figure(label + 7.0, top + body + below)
    axes = style.axes_at(figure, label, top, 6.7, body)
    colours = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(names)} | {"other": "#DDDDDD"}
    drawn: list[str] = []
    for position, parts in enumerate(bars.values()):
        left = 0.0
        other = sum(value for part, value in parts.items() if part not in names)
        for part, value in [*((name, parts.get(name, 0.0)) for name in names), ("other", other)]:
            if value:
                axes.barh(position, value, left=left, color=colours[part], height=0.7, edgecolor="white")
                drawn.append(part)
            left += value
    axes.set_yticks(range(len(bars)), [style.printable(name) for name in bars])
    axes.tick_params(axis="y", length=0, labelsize=9.5)
    axes.set_ylim(len(bars) - 0.45, -0.55)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(unit)
    handles = [Patch(color=colours[name], label=name) for name in colours if name in drawn]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(0, -0.55 / body), ncols=columns, borderaxespad=0)
    if title:
        style.page(figure).text(0.12, 0.2, style.printable(title), va="center", fontsize=10.5)
    return figure, axes
