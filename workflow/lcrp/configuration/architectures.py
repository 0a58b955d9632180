"""The names of the architectures, known without loading the networks."""

from difflib import get_close_matches

# Module and class of each, in `lcrp.models`; adding one is a line here.
ARCHITECTURES = {
    "unet": ("unet", "UNet"),
    "deeplabv3plus": ("deeplabv3plus", "DeepLabV3Plus"),
    **{f"yolov5{size}": ("yolov5", "YOLOv5") for size in ("n", "s", "m", "l", "x", "")},
    **{f"yolov5{size}6": ("yolov5_p6", "YOLOv5P6") for size in ("n", "s", "m", "l", "x")},
    **{f"yolov6{size}": ("yolov6", "YOLOv6") for size in ("s", "")},
    **{f"yolov8{size}": ("yolov8", "YOLOv8") for size in ("n", "s", "m", "l", "x", "")},
    **{f"yolo11{size}": ("yolo11", "YOLO11") for size in ("n", "s", "m", "l", "x", "")},
    **{f"yolo26{size}": ("yolo26", "YOLO26") for size in ("n", "s", "m", "l", "x", "")},
    "ssd512": ("ssd", "SSD512"),
    **{
        name: ("torchvision_models", "TorchvisionSegmentation")
        for name in (
            "deeplabv3_resnet50",
            "deeplabv3_resnet101",
            "deeplabv3_mobilenet_v3_large",
            "fcn_resnet50",
            "fcn_resnet101",
            "lraspp_mobilenet_v3_large",
        )
    },
    **{
        name: ("torchvision_models", "TorchvisionSSD")
        for name in ("ssd300_vgg16", "ssdlite320_mobilenet_v3_large")
    },
    **{
        f"smp_{name}": ("smp_models", "SMPModel")
        for name in ("unetplusplus", "linknet", "fpn", "deeplabv3plus")
    },
}
# Those that can be trained on drawn scenes, by their modules.
_TRAINED = {"unet": "segmentation", "yolov5": "detection"}


def trained_task(name: str) -> str | None:
    """The task of an architecture that can be trained on scenes; None for the others."""
    return _TRAINED.get(ARCHITECTURES[name][0]) if name in ARCHITECTURES else None


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
