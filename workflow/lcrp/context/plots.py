"""Plots of the context tables and of the verification; no colour vision is needed to read them."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from lcrp.verification.sensitivity import METHODS

MAP = matplotlib.colormaps["cividis"]
_STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a class may be called `$`
}


def draw_density(points, summary, path, most=40):
    """Score against measured sensitivity, a panel per layer and method, as density.

    points, summary: of `lcrp.verification.sensitivity.verify`. path: PNG. most: of more layers than
    that, so many are drawn, evenly spread from the first to the last.
    """
    known = list(dict.fromkeys(points["layer"]))
    chosen = np.linspace(0, len(known) - 1, min(most, len(known))).round().astype(int)
    layers = [known[place] for place in chosen]
    columns, rows = len(METHODS), max(1, len(layers))
    width, height = 1.9 * columns + 0.6, 2.1 * rows + 0.5
    with matplotlib.rc_context(_STYLE):
        # No layout engine and no shared axes: either takes minutes for hundreds of panels.
        figure = Figure(figsize=(width, height))
        panels = figure.subplots(rows, columns, squeeze=False)
        figure.subplots_adjust(
            left=0.7 / width, right=1 - 0.1 / width, bottom=0.5 / height, top=1 - 0.5 / height,
            wspace=0.15, hspace=0.3,
        )  # fmt: skip
        if len(layers) < len(known):
            told = f"{len(layers)} of {len(known)} layers"
            figure.text(0.1 / width, 1 - 0.15 / height, told, fontsize=8)
        for row, layer in zip(panels, layers, strict=False):
            own = points[points["layer"] == layer]
            for panel, method in zip(row, METHODS, strict=True):
                _density(panel, own[method].to_numpy(), own["sensitivity"].to_numpy())
                found = summary[(summary["layer"] == layer) & (summary["method"] == method)]
                error, correlation = found[["rmse", "correlation"]].iloc[0]
                panel.set_title(
                    f"{method}\nRMSE {error:.2f}, r {correlation:.2f}", fontsize=8, loc="left"
                )
            row[0].set_ylabel(f"{layer}\nsensitivity", fontsize=8)
        for panel in panels[:, 1:].flat:
            panel.tick_params(labelleft=False)
        for panel in panels[:-1].flat:
            panel.tick_params(labelbottom=False)
        for panel in panels[-1]:
            panel.set_xlabel("context score", fontsize=8)
        figure.savefig(path, dpi=150, metadata={"Software": None})


def _density(panel, score, truth):
    known = np.isfinite(score) & np.isfinite(truth)
    counts, *_ = np.histogram2d(score[known], truth[known], bins=24, range=[[0, 1], [0, 1]])
    # Faint cells count: the root keeps them visible beside the full ones.
    shown = np.ma.masked_equal(np.sqrt(counts.T), 0)
    panel.imshow(shown, origin="lower", extent=(0, 1, 0, 1), cmap=MAP.reversed(), aspect="equal")
    panel.plot([0, 1], [0, 1], color="#555555", linewidth=0.8, linestyle="--")
    panel.set_xticks([0, 0.5, 1])
    panel.set_yticks([0, 0.5, 1])


def draw_matrix(pairs, path, most=30, most_things=100):
    """Class against thing: the share of the class's relevance that lies on the thing.

    pairs: data frame of pairs.csv. most, most_things: the classes and the things with the largest
    shares.
    """
    known = pairs[np.isfinite(pairs["share"].astype(float))]
    table = known.pivot_table(index="class", columns="thing", values="share")
    lift = known.pivot_table(index="class", columns="thing", values="lift")
    if "unlabelled" in table:
        order = [c for c in table if c != "unlabelled"] + ["unlabelled"]
        table = table[order]
    table = table.loc[table.sum(axis=1).sort_values(ascending=False).index[:most]]
    table = table.dropna(axis=1, how="all")
    if table.shape[1] > most_things:
        largest = table.max().nlargest(most_things, keep="all").index[:most_things]
        table = table[[thing for thing in table if thing in largest]]
    lift = lift.reindex(index=table.index, columns=table.columns)
    with matplotlib.rc_context(_STYLE):
        size = (2.4 + 0.42 * max(4, table.shape[1]), 1.6 + 0.3 * max(3, table.shape[0]))
        figure = Figure(figsize=size, layout="constrained")
        panel = figure.subplots()
        if table.empty:
            _nothing(panel)
        else:
            values = table.to_numpy(float)
            # Unlabelled ground has by far the most: it would bleach all other columns.
            things = values[:, [c != "unlabelled" for c in table.columns]]
            top = np.nanmax(things) if np.isfinite(things).any() else 1
            picture = panel.imshow(values, cmap=MAP, vmin=0, vmax=max(top, 1e-3), aspect="auto")
            for y, x in zip(*np.nonzero(np.isfinite(values)), strict=True):
                light = values[y, x] > 0.6 * top
                mark = "+" if lift.iat[y, x] > 1 else ""
                panel.text(
                    x, y, f"{100 * values[y, x]:.0f}{mark}", ha="center", va="center", fontsize=7,
                    color="black" if light else "white",
                )  # fmt: skip
            panel.set_xticks(range(table.shape[1]), table.columns, rotation=90)
            panel.set_yticks(range(table.shape[0]), table.index)
            panel.set_title(
                "Share of a class's relevance on another thing, %\n+: more than its area",
                loc="left",
            )
            panel.spines[:].set_visible(False)
            bar = figure.colorbar(picture, ax=panel, shrink=0.6, extend="max")
            bar.set_label("share", fontsize=8)
        figure.savefig(path, dpi=150, metadata={"Software": None})


def draw_scores(tables, path, most=12):
    """Context score of every concept against its share of the relevance, class by class.

    tables: ContextTables. most: the classes with the most targets.
    """
    whole = tables.classes[tables.classes["layer"] == "all"]
    whole = whole[np.isfinite(whole["context_score"])]
    names = whole.sort_values("targets", ascending=False, kind="stable")["class"].tolist()[:most]
    columns = min(4, max(1, len(names)))
    rows = max(1, -(-len(names) // columns))
    colours = MAP(np.linspace(0, 0.8, max(2, len(tables.layers))))
    with matplotlib.rc_context(_STYLE):
        size = (2.6 * columns + 1, 2.2 * rows + 0.8)
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for panel, name in zip(panels, names, strict=False):
            concepts = tables.concepts(name)
            for number, layer in enumerate(tables.layers):
                own = concepts[(concepts["layer"] == layer) & (concepts["share"] > 1e-5)]
                panel.scatter(
                    own["share"], own["context_score"], s=4, color=colours[number], label=layer,
                    marker="os^Dv"[number % 5], linewidths=0,
                )  # fmt: skip
            panel.set_xscale("log")
            panel.set_ylim(-0.02, 1.02)
            panel.set_title(name, loc="left")
        for panel in panels[len(names) :]:
            panel.set_visible(False)
        if names:
            figure.supxlabel("share of the layer's relevance")
            figure.supylabel("context score")
            if len(tables.layers) <= 8:
                handles, labels = panels[0].get_legend_handles_labels()
                figure.legend(
                    handles, labels, loc="outside upper center", ncols=3, markerscale=3,
                    frameon=False,
                )  # fmt: skip
        else:
            panels[0].set_visible(True)
            _nothing(panels[0])
        figure.savefig(path, dpi=150, metadata={"Software": None})


def draw_layers(tables, path):
    """How the context scores of classes are distributed, layer by layer.

    tables: ContextTables.
    """
    scores = tables.classes[tables.classes["layer"] != "all"]
    scores = scores[np.isfinite(scores["context_score"])]
    values = [scores.loc[scores["layer"] == name, "context_score"] for name in tables.layers]
    with matplotlib.rc_context(_STYLE):
        size = (2.5 + 0.28 * max(6, len(values)), 3.8)
        figure = Figure(figsize=size, layout="constrained")
        panel = figure.subplots()
        if not len(scores):
            _nothing(panel)
        else:
            panel.boxplot(
                values, positions=range(len(values)), widths=0.6, showfliers=False,
                medianprops={"color": "black"}, boxprops={"color": "#666666"},
            )  # fmt: skip
            for place, own in enumerate(values):
                spread = np.linspace(-0.2, 0.2, len(own)) if len(own) > 1 else np.zeros(len(own))
                panel.scatter(place + spread, own, s=9, color="#0072B2", alpha=0.6, linewidths=0)
            panel.set_xticks(range(len(values)), tables.layers, rotation=90)
            panel.set_ylim(-0.02, 1.02)
            panel.set_ylabel("context score of a class")
        figure.savefig(path, dpi=150, metadata={"Software": None})


def _nothing(panel):
    panel.text(0.5, 0.5, "no class has a score", ha="center", va="center")
    panel.set_axis_off()
