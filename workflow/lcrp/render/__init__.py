"""Figures of explanations.

`Composer` gathers what a figure shows, as plain arrays; `save_figure` draws it;
`draw_explanations` does both for many; `draw_atlas` draws what the report shows of concepts.
"""

from lcrp.render.atlas import draw_atlas
from lcrp.render.chosen_figures import chosen_targets, draw_explanations, most_context_dependent
from lcrp.render.compose import Composer, Settings, parse_target
from lcrp.render.explanation import ConceptPart, Explanation, Marked, Reference, file_name
from lcrp.render.figure import draw_figure, figure_bytes, read_summary, save_figure
from lcrp.render.references import References

__all__ = [
    "Composer",
    "ConceptPart",
    "Explanation",
    "Marked",
    "Reference",
    "References",
    "Settings",
    "chosen_targets",
    "draw_atlas",
    "draw_explanations",
    "draw_figure",
    "figure_bytes",
    "file_name",
    "most_context_dependent",
    "parse_target",
    "read_summary",
    "save_figure",
]
