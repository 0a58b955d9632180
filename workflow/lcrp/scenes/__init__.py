"""The embedded dataset: drawn scenes of which it is known what depends on the context.

Four contexts (fields of strokes) and nine classes: two pairs of twins that look exactly alike
and differ only in what surrounds them, shapes that appear on every context, and a rider that
nearly always comes with a bicycle.
"""

from lcrp.scenes.scene import Scene, draw_scene
from lcrp.scenes.world import CONTEXTS, class_names, truth
from lcrp.scenes.writing import SPLITS, write_scenes, write_split, write_truth

__all__ = [
    "CONTEXTS",
    "SPLITS",
    "Scene",
    "class_names",
    "draw_scene",
    "truth",
    "write_scenes",
    "write_split",
    "write_truth",
]
