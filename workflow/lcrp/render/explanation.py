"""What one figure shows, as plain arrays and numbers.

Coordinates are pixels of the original image (x to the right, y down) throughout.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Marked:
    """One object marked on a picture: a box, a mask, or both.

    box: x1, y1, x2, y2; mask: (h, w) bool. `explained` marks what the explanation is about.
    """

    label: str
    box: tuple[float, float, float, float] | None = None
    mask: np.ndarray | None = None
    score: float | None = None
    explained: bool = False


@dataclass
class Reference:
    """One reference image of a concept, cropped to where its strongest neuron sees.

    picture: (s, t, 3) uint8; heatmap: (s, t) float32, where in the picture the neuron's relevance
    comes from, in shares of it; relevant: (s, t) bool, what is not to be dimmed; window: x1, y1,
    x2, y2 of the crop in the image. `problem` says why there is no picture.
    """

    image_id: str
    class_name: str
    value: float
    picture: np.ndarray | None = None
    heatmap: np.ndarray | None = None
    relevant: np.ndarray | None = None
    window: tuple[int, int, int, int] | None = None
    problem: str | None = None


@dataclass
class ConceptPart:
    """One concept of one layer in an explanation.

    relevance: normalised relevance (signed share of the layer's absolute relevance);
    activation: its maximum over positions; heatmap: (h, w) conditional heatmap;
    outside: share of its positive relevance outside the object, None where undefined;
    lies_on: (name, share) of the other annotated things, largest first.
    """

    layer: str
    concept: int
    relevance: float
    heatmap: np.ndarray
    outside: float | None = None
    lies_on: list[tuple[str, float]] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    activation: float | None = None


@dataclass(repr=False)
class Explanation:
    """Everything that a figure of one target shows.

    picture: (h, w, 3) uint8; heatmap: (h, w) float32; truth: None where the image has no
    annotation; outside: share of the positive relevance outside the object, and `object_from`
    what the object's outline was taken from ("annotation", "prediction" or "").
    """

    image_id: str
    target: str
    class_index: int
    class_name: str
    picture: np.ndarray
    heatmap: np.ndarray
    predictions: list[Marked]
    truth: list[Marked] | None
    concepts: list[ConceptPart]
    score: float | None = None
    outside: float | None = None
    object_from: str = ""
    model: str = ""
    experiment: str = ""
    by: str = "relevance"
    notes: list[str] = field(default_factory=list)

    @property
    def layers(self) -> list[str]:
        """Layers in the order in which the concepts name them."""
        return list(dict.fromkeys(part.layer for part in self.concepts))

    def __repr__(self):
        return (
            f"<Explanation of {self.class_name} in {self.image_id}: {len(self.concepts)} concepts "
            f"of {', '.join(self.layers)}>"
        )

    def summary(self) -> dict:
        """The numbers and names of the figure, without its arrays (JSON-able)."""
        explained = [m for m in self.predictions if m.explained and m.box is not None]
        return {
            "experiment": self.experiment,
            "model": self.model,
            "image": self.image_id,
            "target": self.target,
            "class": self.class_index,
            "class_name": self.class_name,
            "score": _rounded(self.score),
            "box": [round(float(v), 1) for v in explained[0].box] if explained else None,
            "size": [int(v) for v in self.picture.shape[:2]],
            "outside": _rounded(self.outside),
            "object_from": self.object_from,
            "by": self.by,
            "notes": list(self.notes),
            "concepts": [
                {
                    "layer": part.layer,
                    "concept": int(part.concept),
                    "relevance": _rounded(part.relevance),
                    "activation": _rounded(part.activation),
                    "outside": _rounded(part.outside),
                    "lies_on": [[name, _rounded(share)] for name, share in part.lies_on],
                    "references": [reference.image_id for reference in part.references],
                }
                for part in self.concepts
            ],
        }


def plain_box(box) -> tuple[float, ...]:
    """A box (x1, y1, x2, y2) as plain numbers."""
    return tuple(float(value) for value in box)


def _rounded(value):
    return None if value is None or not np.isfinite(value) else float(f"{float(value):.5g}")
