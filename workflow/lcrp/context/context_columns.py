"""The columns of the context tables, in order, each with its meaning; and their codes."""

_SCORED = (
    "number of them that have a score: the object is annotated, the prediction meets it (IoU), "
    "and it leaves some background"
)
_SCORE = {
    "context_score": (
        "share of the relevance that lies outside the object, over all scored targets, weighted "
        "by relevance; empty where undefined (see note)"
    ),
    "context_low": "lower end of its confidence interval (bootstrap over images)",
    "context_high": "upper end of its confidence interval",
}
_WHOLE = {
    "outside": (
        "share of the relevance of the whole prediction, whichever layers it passes, that lies "
        "outside the object"
    ),
    "far": (
        "share of the relevance of the whole prediction that lies beyond 1.5 times the size of the "
        "object"
    ),
    "reaches_input": (
        "share of the relevance that a prediction starts with that reaches the input; biases "
        "absorb the rest"
    ),
}
_KIND = {
    "kind": (
        "exact: no relevance is negative, so that the score is the share of positive relevance "
        "outside the object; signed share: some is, and the score is the signed share"
    ),
    "note": "why a value is empty",
}

CONTEXT_COLUMNS = {
    "concepts": {
        "class": "name of the explained class",
        "layer": "name of the layer",
        "concept": "channel of the layer",
        "rank": "place of the concept among those of layer and class, by share; from 1",
        "targets": "number of targets of the class",
        "scored": _SCORED,
        "images": "number of images that the scored targets are in",
        "relevance": "mean relevance of the concept",
        "share": "mean normalised relevance: relevance over the layer's absolute sum, per target",
        **_SCORE,
        "context_score_relmax": (
            "mean context score of the best targets by normalised relevance, each weighing the "
            "same, as in the paper"
        ),
        "relmax_targets": "number of targets in that mean",
        "lies_on": (
            "things with most of the relevance outside the object, each with its share of it; "
            "unlabelled: what is not annotated"
        ),
        **_KIND,
        "references": "rows, in the store, of the class's best targets, separated by spaces",
        "reference_images": "ids of their images, separated by semicolons",
    },
    "classes": {
        "class": "name of the explained class",
        "layer": "name of the layer, or all: the relevance of all layers of this table together",
        "targets": "number of targets of the class",
        "scored": _SCORED,
        "images": "number of images that the scored targets are in",
        **_SCORE,
        "outside": _WHOLE["outside"] + "; over all scored targets, in the row all",
        "outside_low": "lower end of its confidence interval (bootstrap over images)",
        "outside_high": "upper end of its confidence interval",
        "far": _WHOLE["far"] + "; over all scored targets, in the row all",
        "far_low": "lower end of its confidence interval (bootstrap over images)",
        "far_high": "upper end of its confidence interval",
        "reaches_input": _WHOLE["reaches_input"] + "; median, in the row all",
        "passes": (
            "share of the relevance that reaches the input that passes the layer; median over "
            "scored targets, empty in the row all"
        ),
        **_KIND,
        "leading_concepts": (
            "concepts with most relevance outside the object, each with its share of the class's "
            "outside relevance in the layer; empty in the row all"
        ),
    },
    "pairs": {
        "class": "name of the explained class",
        "thing": "class of another annotated thing, or unlabelled: the rest of the background",
        "targets": "number of scored targets of the class in images with the thing",
        "images": "number of images that these are in",
        "share": "share of the relevance of the class, in all its images, that lies on the thing",
        "low": "lower end of its confidence interval (bootstrap over images)",
        "high": "upper end of its confidence interval",
        "share_together": "the same share in the images with both alone",
        "together": "share of the images of the class that have the thing",
        "expected": (
            "share that would lie there if the relevance outside the object were shuffled within "
            "the background of each image: in proportion to the thing's area"
        ),
        "lift": "share divided by the expected share",
        "p": (
            "how often chance gives as large a sum, over images, of relevance beyond the expected: "
            "its sign in every image drawn at random"
        ),
        "note": "why a value is empty",
    },
    "instances": {
        "target": "row of the target in the store",
        "image": "id of the image",
        "class": "name of the explained class",
        "instance": "number of the instance within image and class",
        "score": "class score of the prediction",
        "iou": "intersection over union of prediction and annotation",
        "thing": "id of the annotated object",
        "outside": _WHOLE["outside"],
        "far": _WHOLE["far"],
        "expected": (
            "median of outside for the 20 predictions of other classes nearest in object size"
        ),
        "unusual": "share of these 20 predictions whose outside is smaller (equal ones count half)",
        "reaches_input": _WHOLE["reaches_input"],
        "context_share": (
            "share of the relevance in the analysed layers that lies outside the object; what "
            "passes two of them counts twice, what passes none not at all: see outside"
        ),
        "lies_on": "where, outside the object: things, each with its share of the relevance",
        "leading_layer": "layer of the concept with most normalised relevance outside the object",
        "leading_concept": "that concept",
        "leading_share": "its normalised relevance outside the object",
        "leading_passes": (
            "share of the relevance of the whole prediction that passes the leading layer"
        ),
        **_KIND,
    },
}

# Notes are kept as numbers in arrays.
NOTES = (
    "",
    "fewer targets than the minimum",
    "no annotated object",
    "the object covers the whole image",
    "no positive relevance",
    "no target",
    "relevance is not finite",
    "the prediction misses the annotated object",
)
(NONE, FEW, UNANNOTATED, WHOLE, NO_RELEVANCE, NO_TARGET, NOT_FINITE, MISSED) = range(len(NOTES))
KINDS = ("exact", "signed share")
UNLABELLED_NAME = "unlabelled"
