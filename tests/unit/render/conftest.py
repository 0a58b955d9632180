"""Explanations made of synthetic pictures."""

import numpy as np
import pytest

from lcrp.render import ConceptPart, Explanation, Marked, Reference
from support.explained_world import detection_world, segmentation_world


@pytest.fixture
def make_explanation():
    """A function that makes an Explanation; sizes and counts to choose."""

    def make(
        size=(60, 80),
        box=(20.0, 10.0, 50.0, 40.0),
        layers=("features.3",),
        concepts=2,
        references=4,
        name="boat",
        masked=False,
        annotated=True,
    ):
        random = np.random.default_rng(0)
        height, width = size
        picture = random.integers(0, 255, (height, width, 3), dtype=np.uint8)
        mask = None
        if masked:
            mask = np.zeros(size, bool)
            mask[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])] = True
        mark = Marked(name, None if masked else box, mask, 0.9, explained=True)
        tile = Reference(
            "scene 1",
            name,
            0.2,
            picture[:20, :20],
            random.normal(size=(20, 20)),
            random.random((20, 20)) > 0.5,
            (0, 0, 20, 20),
        )
        parts = [
            ConceptPart(
                layer,
                concept,
                0.1 / (concept + 1),
                random.normal(size=size),
                0.25,
                [("water", 0.2)],
                [tile] * references,
            )
            for layer in layers
            for concept in range(concepts)
        ]
        return Explanation(
            "scene 0",
            name,
            0,
            name,
            picture,
            random.normal(size=size),
            [mark],
            [Marked(name, box, mask, explained=True)] if annotated else None,
            parts,
            0.9,
            0.4,
            "annotation" if annotated else "",
            "unet",
            "toy",
        )

    return make


@pytest.fixture(scope="session")
def segmented(tmp_path_factory):
    """A segmentation model with images and store."""
    return segmentation_world(tmp_path_factory.mktemp("segmented"))


@pytest.fixture(scope="session")
def detected(tmp_path_factory):
    """A detection model with images and store."""
    return detection_world(tmp_path_factory.mktemp("detected"))
