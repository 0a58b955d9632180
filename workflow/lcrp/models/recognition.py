"""Which architecture the keys of a state dict look like."""

YOLOV5_SIZES = {16: "yolov5n", 32: "yolov5s", 48: "yolov5m", 64: "yolov5l", 80: "yolov5x"}

MARKS = (  # the first key that is present decides
    ("backbone.ERBlock_2.0.rbr_dense.conv.weight", "yolov6s"),
    ("model.backbone.vgg.0.weight", "ssd512"),
    ("backbone.vgg.0.weight", "ssd512"),
    ("classifier.aspp.project.0.weight", "deeplabv3plus"),
    ("decoder.blocks.0.conv1.0.weight", "unet"),
)


def recognise(state):
    """Name of the architecture that a state dict's keys look like, or None.

    state: mapping from key to tensor, or to anything with a shape.
    """
    keys = {key.removeprefix("module."): value for key, value in state.items()}
    if "model.24.m.0.weight" in keys and "model.0.conv.weight" in keys:
        return YOLOV5_SIZES.get(keys["model.0.conv.weight"].shape[0], "yolov5")
    return next((name for key, name in MARKS if key in keys), None)
