"""What lies near the known networks and is none of them: told by its keys, with what to do."""

import re
from collections.abc import Mapping
from typing import NamedTuple


class Neighbour(NamedTuple):
    """A network that is not known here.

    Attributes:
        what: its name.
        remedy: what to do.
        has: patterns of keys, each followed by the shape of its value (`model.0.bn.bias 16`), all
            of which occur.
        lacks: one that does not.
    """

    what: str
    remedy: str
    has: tuple[str, ...]
    lacks: str | None = None


A_DETECTOR = "train or fetch a detector of the family instead"

NEIGHBOURS = (  # the first that fits decides
    Neighbour(
        "YOLOv5 before release 6.0 (its first layer is a Focus)",
        "train or fetch it with release 6.0 or later",
        (r"model\.0\.conv\.conv\.weight .*", r"model\.24\.m\.0\.weight .*"),
    ),
    Neighbour(
        "YOLOv5u (YOLOv5 under the head of YOLOv8)",
        "use YOLOv5 of release 6.0 or later, or YOLOv8",
        (r"model\.24\.dfl\.conv\.weight .*",),
    ),
    Neighbour(
        "YOLOv8 with other strides (P2 or P6)",
        "use a network of three strides, such as yolov8m",
        (r"model\.(28|29)\.dfl\.conv\.weight .*",),
    ),
    Neighbour("a classifier (-cls)", A_DETECTOR, (r"model\.\d+\.linear\.weight .*",)),
    Neighbour(
        "a detector of rotated boxes (-obb)",
        A_DETECTOR,
        (r"model\.\d+\.(one2one_)?cv4\.0\.2\.bias 1",),
        lacks=r"model\.\d+\.proto\..*",
    ),
    Neighbour(
        "a detector of poses (-pose)",
        A_DETECTOR,
        (r"model\.\d+\.(one2one_)?cv4\..*",),
        lacks=r"model\.\d+\.proto\..*",
    ),
    Neighbour(
        "YOLOv7",
        "use YOLOv5 or YOLOv8",
        (
            r"model\.\d+\.(ia|im)\.0\.implicit .*"
            r"|model\.(77|105|118|121|122|140)\.m\.0\.weight .*",
        ),
    ),
    Neighbour(
        "YOLOv9",
        "use YOLOv8 or YOLO11",
        (r"model\.[2-5]\.cv2\.0\.cv1\.conv\.weight .*",),
    ),
    Neighbour(
        "YOLOv10",
        "use YOLOv8, YOLO11 or YOLO26",
        (r"model\.10\.attn\.qkv\.conv\.weight .*",),
    ),
    Neighbour(
        "YOLO12",
        "use YOLO11 or YOLO26",
        (r"model\.6\.m\.0\.0\.attn\..*", r"model\.21\.cv3\..*"),
    ),
    Neighbour(
        "YOLOv6 of release 0.2 or later (without objectness)",
        "use the first release of YOLOv6, or YOLOv8",
        (r"backbone\.ERBlock_2\..*", r"detect\.cls_preds\..*"),
        lacks=r"detect\.obj_preds\..*",
    ),
)


def neighbour(state: Mapping) -> Neighbour | None:
    """The network that a state dict holds, if it is a known neighbour.

    Args:
        state: from key to tensor, or to anything with a shape.
    """
    lines = [f"{key} {'x'.join(map(str, value.shape))}" for key, value in state.items()]

    def occurs(pattern):
        return any(re.fullmatch(pattern, line) for line in lines)

    for near in NEIGHBOURS:
        if all(map(occurs, near.has)) and not (near.lacks and occurs(near.lacks)):
            return near
    return None
