"""Do context scores predict what replacing the background does? The paper's verification.

`verify` compares scores with the sensitivity of concepts to replaced backgrounds, `draw_density`
draws that; `heatmap_scores` computes scores by conditional heatmaps, as the paper defines them.
"""

from lcrp.verification.backgrounds import replaced_backgrounds
from lcrp.verification.compared_methods import METHODS
from lcrp.verification.density_plot import draw_density
from lcrp.verification.heatmap_scores import HEATMAP_COLUMNS, heatmap_scores
from lcrp.verification.published import reported
from lcrp.verification.sensitivity import (
    POINT_COLUMNS,
    VERIFICATION_COLUMNS,
    relative_change,
    verify,
)

__all__ = [
    "HEATMAP_COLUMNS",
    "METHODS",
    "POINT_COLUMNS",
    "VERIFICATION_COLUMNS",
    "draw_density",
    "heatmap_scores",
    "relative_change",
    "replaced_backgrounds",
    "reported",
    "verify",
]
