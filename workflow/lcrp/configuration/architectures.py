"""The names of the architectures, known without loading the networks."""

from difflib import get_close_matches

ARCHITECTURES = (
    "unet",
    "deeplabv3plus",
    "yolov5n",
    "yolov5s",
    "yolov5m",
    "yolov5l",
    "yolov5x",
    "yolov5",
    "yolov6s",
    "yolov6",
    "yolov8n",
    "yolov8s",
    "yolov8m",
    "yolov8l",
    "yolov8x",
    "yolov8",
    "yolo11n",
    "yolo11s",
    "yolo11m",
    "yolo11l",
    "yolo11x",
    "yolo11",
    "yolo26n",
    "yolo26s",
    "yolo26m",
    "yolo26l",
    "yolo26x",
    "yolo26",
    "ssd512",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "deeplabv3_mobilenet_v3_large",
    "fcn_resnet50",
    "fcn_resnet101",
    "lraspp_mobilenet_v3_large",
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
    "smp_unetplusplus",
    "smp_linknet",
    "smp_fpn",
    "smp_deeplabv3plus",
)


def check_architecture(name: str) -> str:
    """The name itself.

    Raises:
        ValueError: it is no known architecture; names the nearest.
    """
    if name in ARCHITECTURES:
        return name
    near = get_close_matches(name.lower(), ARCHITECTURES, n=3, cutoff=0.5)
    raise ValueError(
        f"`{name}` is no known architecture; "
        + (f"did you mean {' or '.join(near)}? " if near else "")
        + f"known: {', '.join(ARCHITECTURES)}"
    )
