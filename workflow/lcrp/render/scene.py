"""What is annotated in an image, and what a heatmap lies on."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from lcrp.analysis.annotation import Annotation
from lcrp.object_masks import box_mask
from lcrp.render.explanation import Marked, plain_box


class Scene:
    """What is annotated in an image, and where the object of a target is.

    object: (H, W) bool in input pixels, and object_from what it was taken from. iou: of the
    prediction with the annotated object, NaN without.
    """

    def __init__(self, sample, model, geometry, targets, single):
        self.task, self.geometry = model.task, geometry
        self.things, self.of_class, self.single, self.iou = None, [], None, np.nan
        predicted = np.asarray(targets.mask(0))
        self.object, self.object_from = predicted, "prediction"
        if sample is None or not sample.dataset.annotated:
            return
        self.things = list(sample.things)
        classes = sample.dataset.class_map.onto(model.classes)
        mode = "instance" if single else "class"
        annotation = Annotation(sample, geometry, self.task, classes, mode)
        match = annotation.match(targets[0], predicted)
        self.iou = match.iou
        if match.thing:
            self.object, self.object_from = match.mask, "annotation"
            self.single = match.thing if single else None
            self.of_class = annotation.of_class(targets[0].class_index)

    @property
    def marked(self):
        """The annotated objects to draw; None if the image has no annotation."""
        if self.things is None:
            return None
        if self.task == "segmentation":
            return self._marked_regions()
        return [
            Marked(thing.class_name, plain_box(thing.box), explained=self._is_object(thing))
            for thing in self.things
        ]

    def _marked_regions(self):
        if not self.of_class:
            return []
        name = self.of_class[0].class_name
        if self.single is None:
            mask = np.logical_or.reduce([thing.mask() for thing in self.of_class])
        else:
            mask = self.geometry.map_to_original(self.object) > 0.5
        return [Marked(name, mask=mask, explained=True)]

    def _is_object(self, thing):
        is_class = any(thing is other for other in self.of_class)
        return is_class and self.single in (None, thing.id)

    def lies_on(self, heatmap):
        """(class name, share of the positive relevance) of each other annotated class.

        Counted outside the object only; by mask where there is one, else by box.
        """
        positive = np.clip(heatmap, 0, None)
        total = positive.sum()
        if total <= 0:
            return []
        shares = [(name, float(positive[m].sum() / total)) for name, m in self.others.items()]
        return sorted((s for s in shares if s[1] >= 0.005), key=lambda s: (-s[1], s[0]))

    @cached_property
    def others(self):
        """{class name: (H, W) bool} where the other annotated things are, without the object."""
        regions = {}
        for thing in self.things or []:
            of_class = any(thing is other for other in self.of_class)
            if self._is_object(thing) or (of_class and self.task == "segmentation"):
                continue
            name = f"another {thing.class_name}" if of_class else thing.class_name
            region = self._region(thing) & ~self.object
            regions[name] = regions[name] | region if name in regions else region
        return regions

    def _region(self, thing):
        mask = thing.mask()
        if mask is not None:
            return self.geometry.mask_to_input(np.asarray(mask, bool))
        return box_mask(self.geometry.boxes_to_input([thing.box]), self.geometry.input)
