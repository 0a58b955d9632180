"""Plots of the context tables; no colour vision is needed to read them."""

import os

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lcrp.context.context_columns import UNLABELLED_NAME
from lcrp.context.tables import ContextTables
from lcrp.plotting import MAP, STYLE


def draw_matrix(
    pairs: pd.DataFrame, path: str | os.PathLike, most: int = 30, most_things: int = 100
) -> None:
    """Draw class against thing: the share of the class's relevance that lies on the thing.

    Args:
        pairs: as in pairs.csv.
        path: PNG.
        most: so many classes with the largest shares.
        most_things: so many things with the largest shares.
    """
    known = pairs[np.isfinite(pairs["share"].astype(float))]
    table = known.pivot_table(index="class", columns="thing", values="share")
    lift = known.pivot_table(index="class", columns="thing", values="lift")
    if UNLABELLED_NAME in table:
        order = [c for c in table if c != UNLABELLED_NAME] + [UNLABELLED_NAME]
        table = table[order]
    table = table.loc[table.sum(axis=1).sort_values(ascending=False).index[:most]]
    table = table.dropna(axis=1, how="all")
    if table.shape[1] > most_things:
        largest = table.max().nlargest(most_things, keep="all").index[:most_things]
        table = table[[thing for thing in table if thing in largest]]
    lift = lift.reindex(index=table.index, columns=table.columns)
    with matplotlib.rc_context(STYLE):
        size = (2.4 + 0.42 * max(4, table.shape[1]), 1.6 + 0.3 * max(3, table.shape[0]))
        figure = Figure(figsize=size, layout="constrained")
        panel = figure.subplots()
        if table.empty:
            _nothing(panel)
        else:
            values = table.to_numpy(float)
            # Unlabelled ground has by far the most: it would bleach all other columns.
            things = values[:, [c != UNLABELLED_NAME for c in table.columns]]
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


def draw_scores(tables: ContextTables, path: str | os.PathLike, most: int = 12) -> None:
    """Draw the context score of every concept against its share of the relevance, by class.

    Args:
        tables: of the store.
        path: PNG.
        most: so many classes with the most targets.
    """
    whole = tables.classes[tables.classes["layer"] == "all"]
    whole = whole[np.isfinite(whole["context_score"])]
    names = whole.sort_values("targets", ascending=False, kind="stable")["class"].tolist()[:most]
    columns = min(4, max(1, len(names)))
    rows = max(1, -(-len(names) // columns))
    colours = MAP(np.linspace(0, 0.8, max(2, len(tables.layers))))
    with matplotlib.rc_context(STYLE):
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


def draw_layers(tables: ContextTables, path: str | os.PathLike) -> None:
    """Draw how the context scores of classes are distributed, layer by layer.

    Args:
        tables: of the store.
        path: PNG.
    """
    scores = tables.classes[tables.classes["layer"] != "all"]
    scores = scores[np.isfinite(scores["context_score"])]
    values = [scores.loc[scores["layer"] == name, "context_score"] for name in tables.layers]
    with matplotlib.rc_context(STYLE):
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
