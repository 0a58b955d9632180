"""The table of known networks in README.md, written from the names of the architectures.

`python -m lcrp.configuration.architecture_table README.md` writes it anew.
"""

import re
import sys
from pathlib import Path

from lcrp import files
from lcrp.configuration.architectures import ARCHITECTURES

BEGIN, END = "<!-- architectures -->", "<!-- end of architectures -->"

# Task, what the networks are, and a pattern of their names. Every name belongs to one of them.
FAMILIES = (
    (
        "segmentation",
        "UNet, UNet++, LinkNet, FPN, DeepLabV3+ (segmentation_models_pytorch)",
        r"unet|smp_\w+",
    ),
    ("segmentation", "DeepLabV3+ with a ResNet-50, as in the paper", r"deeplabv3plus"),
    ("segmentation", "DeepLabV3, FCN, LR-ASPP (torchvision)", r"(deeplabv3|fcn|lraspp)_\w+"),
    ("detection", "YOLOv5, release 6.0 and later", r"yolov5\w?"),
    ("detection", "YOLOv5 for large images (P6)", r"yolov5\w6"),
    ("detection", "YOLOv6, first release", r"yolov6\w?"),
    ("detection", "YOLOv8", r"yolov8\w?"),
    ("detection", "YOLO11", r"yolo11\w?"),
    ("detection", "YOLO26", r"yolo26\w?"),
    ("detection", "SSD with a VGG-16, as in the paper", r"ssd512"),
    ("detection", "SSD, SSDlite (torchvision)", r"ssd(lite)?3\w+"),
)


def members(pattern: str) -> list[str]:
    """The architectures of a family, in their order."""
    return [name for name in ARCHITECTURES if re.fullmatch(pattern, name)]


def table() -> str:
    """Families and their names as a table in Markdown."""
    rows = ["| task | network | `model.architecture` |", "|---|---|---|"]
    for task, what, pattern in FAMILIES:
        names = ", ".join(f"`{name}`" for name in members(pattern))
        rows.append(f"| {task} | {what} | {names} |")
    return "\n".join(rows)


def with_table(text: str) -> str:
    """A page with the table between its two marks."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    text = with_table(page.read_text())
    with files.whole(page) as part:
        part.write_text(text)
