"""What a shard and a merged store contain: version, columns, arrays, attributes."""

from dataclasses import dataclass

import numpy as np

from lcrp.store.rounding import MANTISSA_BITS

SCHEMA = 2
# Version 1 lacks where the relevance of whole predictions lands: see `WHOLE_COLUMNS`.
READABLE = (1, 2)

# Rows of two shards may be put into one store only if these attributes are the same in both.
IDENTITY = (
    "schema",
    "experiment",
    "architecture",
    "task",
    "classes",
    "composite",
    "target_mode",
    "target_source",
    "input_size",
    "weights_sha256",
    "dataset_fingerprint",
    "threshold",
    "precision",
)

# How an error calls what differs.
IDENTITY_WORDS = {
    "schema": "another schema version",
    "weights_sha256": "another model (weights)",
    "architecture": "another model (architecture)",
    "dataset_fingerprint": "another dataset",
    "classes": "another class list",
}

# Root attributes that the store sets itself.
RESERVED = ("kind", "layers", "top_k", "relative_error", "target_order")


@dataclass(frozen=True)
class Recorded:
    """One array of a layer.

    Attributes:
        axis: what its rows are: "target", "image" or "pair".
        dtype: of its numbers.
        fill: the value where nothing was recorded.
        bits: explicit bits of the mantissa that it is rounded to, 0 where it is not rounded.
        meaning: in words.
    """

    axis: str
    dtype: np.dtype
    fill: float | int
    bits: int
    meaning: str


RECORDED = {
    "relevance": Recorded(
        "target", np.dtype("float32"), np.nan, MANTISSA_BITS, "relevance, summed over positions"
    ),
    "position": Recorded(
        "target",
        np.dtype("int32"),
        -1,
        0,
        "flat index, into the feature map, of the neuron with the most relevance",
    ),
    "inside": Recorded(
        "target",
        np.dtype("float32"),
        np.nan,
        MANTISSA_BITS,
        "relevance that lands inside the annotated object; NaN without annotation",
    ),
    "landed": Recorded(
        "target",
        np.dtype("float32"),
        np.nan,
        MANTISSA_BITS,
        "relevance that lands anywhere in the input (less than relevance where biases absorb it)",
    ),
    "on_thing": Recorded(
        "pair",
        np.dtype("float32"),
        np.nan,
        MANTISSA_BITS,
        "relevance that lands on another annotated thing of the image, outside the object",
    ),
    "activation": Recorded(
        "image", np.dtype("float32"), np.nan, MANTISSA_BITS, "activation, maximum over positions"
    ),
    "activation_position": Recorded(
        "image",
        np.dtype("int32"),
        -1,
        0,
        "flat index, into the feature map, of the most active neuron",
    ),
}

ABSOLUTE_SUM = "sum over the channels of the absolute stored relevance"

RANKINGS = ("relmax", "relmax_by_class", "actmax", "actmax_by_class")

IMAGE_COLUMNS = {
    "index": "position in the dataset (optional; orders the rows)",
    "id": "identifier, unique in the dataset",
    "file": "image file",
    "height": "height of the original image, pixels",
    "width": "width of the original image, pixels",
    "status": "ok, unreadable, wrong-size, no-target, ...",
}

# Of the whole prediction, whichever layers it passes; since version 2.
WHOLE_COLUMNS = {
    "started": "relevance that the target starts with, at the outputs of the network",
    "landed": "relevance of it that lands anywhere in the input; biases absorb the rest",
    "landed_inside": "relevance that lands inside the annotated object; NaN without annotation",
    "landed_to_1_5": "outside the object, within 1.5 times its size",
    "landed_to_2": "beyond 1.5 times the size of the object, within 2 times",
    "landed_to_3": "beyond 2 times the size of the object, within 3 times",
}

TARGET_COLUMNS = {
    "image": "row of the image in images/",
    "class": "index into the attribute classes",
    "instance": "number of the explained instance within image and class",
    "score": "class score",
    "logit": "class logit that the relevance starts from",
    "iou": "intersection over union with the matched annotation; NaN without",
    "pixels": "number of explained pixels (segmentation)",
    "box_x1": "left edge of the box, input pixels",
    "box_y1": "upper edge of the box, input pixels",
    "box_x2": "right edge of the box, input pixels",
    "box_y2": "lower edge of the box, input pixels",
    "relevance_sum": "relevance of the whole input",
    "thing": "id of the matched annotation, empty without",
    "object_share": "share of the input that the annotated object covers (optional)",
    "background": "share of the image, padding left out, that the object leaves (optional)",
    **WHOLE_COLUMNS,
}

PAIR_COLUMNS = {
    "target": "row of the target in targets/",
    "thing": "class of the thing, index into the attribute classes",
    "area": "share of the image, padding left out, that the thing covers outside the object",
    "landed": "relevance of the whole prediction that lands on it (optional; since version 2)",
}

TYPES = {
    "images": {
        "index": "int64",
        "id": "str",
        "file": "str",
        "height": "int32",
        "width": "int32",
        "status": "str",
    },
    "targets": {
        "image": "int32",
        "class": "int32",
        "instance": "int32",
        "score": "float64",
        "logit": "float64",
        "iou": "float64",
        "pixels": "float64",
        "box_x1": "float64",
        "box_y1": "float64",
        "box_x2": "float64",
        "box_y2": "float64",
        "relevance_sum": "float64",
        "object_share": "float64",
        "background": "float64",
        "thing": "str",
        **dict.fromkeys(WHOLE_COLUMNS, "float64"),
    },
    "pairs": {"target": "int32", "thing": "int32", "area": "float64", "landed": "float64"},
}

REQUIRED = {"images": ("id", "status"), "targets": ("image", "class"), "pairs": ("target", "thing")}
AXIS_OF_TABLE = {"images": "image", "targets": "target", "pairs": "pair"}
