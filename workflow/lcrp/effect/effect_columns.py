"""The columns of the table of effects, and of the list of examples."""

EFFECT_COLUMNS = {
    "kind": "background: all of it replaced; thing: one thing painted over; concepts: switched off",
    "intervention": (
        "background: same-class, other-class (the object on backgrounds of images with and "
        "without its class), blur, noise, mean; thing: removed; concepts: switched-off"
    ),
    "class": "name of the class that is asked about",
    "thing": "what is painted over: another class, or annotated stuff; else empty",
    "layer": "whose concepts are switched off; else empty",
    "concepts": "the concepts, separated by spaces; else empty",
    "images": "number of images, each with one recognised object of the class",
    "probability_before": (
        "mean probability of the class: over the object's pixels, or the confidence of the best "
        "box with an IoU of at least 0.5 (0 without any)"
    ),
    "probability_after": "the same after the intervention",
    "logit_change": (
        "mean change of the class's logit: over the object's pixels, or of the box that was best "
        "before"
    ),
    "detected_after": (
        "share of the objects that are still found (a box of the class with an IoU of at least "
        "0.5 and enough confidence); all were before; empty for segmentation"
    ),
    "effect": (
        "mean drop of the probability, or of the detection rate where that is larger (of two that "
        "reach the floor, of the better established one)"
    ),
    "low": "lower end of its confidence interval (bootstrap over images)",
    "high": "upper end of that interval",
    "control": (
        "effect of the control, in the same unit: same-class backgrounds for other-class ones; a "
        "region as large elsewhere for a thing; as relevant concepts of low context score for "
        "concepts; empty where there is none, then nothing is confirmed either"
    ),
    "difference": "effect minus control",
    "size": "standardised difference: mean over standard deviation over images",
    "p": "chance of such a difference without one (sign flips, one-sided)",
    "p_adjusted": (
        "the same after Holm's correction: for all backgrounds and things, and for all concepts"
    ),
    "confirmed": (
        "whether p_adjusted is small enough, and effect and difference reach the floor; concepts "
        "only in classes whose background is confirmed"
    ),
    "note": "why a test was not made, or what to know of it",
}

EXAMPLE_COLUMNS = {
    "class": "name of the class",
    "thing": "what was painted over; empty where the whole background was replaced",
    "intervention": "as in the table of effects",
    "image": "id of the image",
    "before": "file with the image as the network is shown it",
    "after": "file with the same after the intervention",
    "probability_before": "probability of the class before",
    "probability_after": "and after",
    "x1": "box of the object, in pixels of the files",
    "y1": "",
    "x2": "",
    "y2": "",
}
