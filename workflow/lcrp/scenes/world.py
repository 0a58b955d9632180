"""The classes, their contexts, and the truth about what depends on what."""

from dataclasses import dataclass

CONTEXTS = ("water", "road", "sky", "meadow")


@dataclass(frozen=True)
class Kind:
    """A class of objects: `outline` is how it looks, `context` where it is found (or None)."""

    name: str
    outline: str
    context: str | None = None
    twin: str | None = None
    companion: str | None = None


KINDS = (
    Kind("boat", "hull", context="water", twin="car"),
    Kind("car", "hull", context="road", twin="boat"),
    Kind("balloon", "globe", context="sky", twin="tree"),
    Kind("tree", "globe", context="meadow", twin="balloon"),
    Kind("star", "star"),
    Kind("heart", "heart"),
    Kind("cross", "cross"),
    Kind("bicycle", "bicycle"),
    Kind("rider", "rider", companion="bicycle"),
)
BY_NAME = {kind.name: kind for kind in KINDS}
TWIN_AT = {kind.context: kind for kind in KINDS if kind.context}
OTHER_CONTEXT = {kind.context: BY_NAME[kind.twin].context for kind in KINDS if kind.twin}
ALONE = tuple(kind for kind in KINDS if not kind.twin and not kind.companion)
ACCOMPANIED = tuple(kind for kind in KINDS if kind.companion)


def label_of(name, merge_twins):
    """The class under which an object is annotated: itself, or what its twins share."""
    kind = BY_NAME[name]
    return kind.outline if merge_twins and kind.twin else name


def class_names(merge_twins=False):
    """The annotated classes, in the order of their ids (COCO ids and mask values start at 1)."""
    return tuple(dict.fromkeys(label_of(kind.name, merge_twins) for kind in KINDS))


def truth(options):
    """What is known by construction, for `truth.json`.

    Args:
        options: `Scenes`.

    Returns:
        dict with `contexts`, `swaps` (context -> the context it is exchanged for) and `classes`:
        per class its `kind` ("context-dependent", "shape" or "companion"), `context`, `twin`
        and `companion` (None where there is none).
    """
    classes = {}
    for name in class_names(options.merge_twins):
        kind = BY_NAME.get(name)
        if kind is None:  # merged twins are told by their shape
            entry = {"kind": "shape", "context": None, "twin": None, "companion": None}
        else:
            entry = {
                "kind": "context-dependent"
                if kind.twin
                else "companion"
                if kind.companion
                else "shape",
                "context": kind.context,
                "twin": kind.twin,
                "companion": kind.companion,
            }
        classes[name] = entry
    return {
        "contexts": list(CONTEXTS),
        "swaps": dict(OTHER_CONTEXT),
        "merged_twins": options.merge_twins,
        "classes": classes,
    }
