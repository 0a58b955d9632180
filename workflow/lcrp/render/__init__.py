"""Figures of explanations.

`Composer` gathers what a figure shows, as plain arrays; `save_figure` draws it;
`draw_explanations` does both for many; `draw_atlas` draws what the report shows of concepts.
"""

from importlib import import_module

# Composing runs the model, and so imports torch; drawing and reading figures do not.
_HOMES = {
    "Composer": "compose",
    "ConceptPart": "explanation",
    "Explanation": "explanation",
    "Marked": "explanation",
    "Reference": "explanation",
    "References": "references",
    "Settings": "compose",
    "chosen_targets": "chosen_figures",
    "draw_atlas": "atlas",
    "draw_explanations": "chosen_figures",
    "draw_figure": "figure",
    "figure_bytes": "figure",
    "most_context_dependent": "chosen_figures",
    "parse_target": "naming",
    "read_summary": "figure",
    "save_figure": "figure",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        return getattr(import_module(f"lcrp.render.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'lcrp.render' has no attribute {name!r}")
