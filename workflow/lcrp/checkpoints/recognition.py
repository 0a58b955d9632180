"""Which architecture the keys of a state dict look like."""

FIRST, REPEATED = "model.0.conv.weight", "model.2.m.1.cv1.conv.weight"
UP_TO_8 = {16: "n", 32: "s", 48: "m", 64: "l", 80: "x"}
FROM_11 = {16: "n", 32: "s", 64: "m", 96: "x"}
YOLO = (  # family, keys that its networks have and their neighbours lack, size by first channels
    ("yolov5", ("model.24.m.0.weight",), UP_TO_8),
    ("yolov8", ("model.22.cv3.2.2.weight", "model.12.m.0.cv1.conv.weight"), UP_TO_8),
    ("yolo26", ("model.23.one2one_cv3.2.2.weight", "model.10.m.0.ffn.0.conv.weight"), FROM_11),
    ("yolo11", ("model.23.cv3.2.2.weight", "model.10.m.0.ffn.0.conv.weight"), FROM_11),
)

MARKS = (  # keys, and the architecture that has them all; the first that fits decides
    (("backbone.ERBlock_2.0.rbr_dense.conv.weight",), "yolov6s"),
    (("model.backbone.vgg.0.weight",), "ssd512"),
    (("backbone.vgg.0.weight",), "ssd512"),
    (("classifier.aspp.project.0.weight",), "deeplabv3plus"),
    (("decoder.blocks.0.conv1.0.weight",), "unet"),
    (("decoder.blocks.x_0_0.conv1.0.weight",), "smp_unetplusplus"),
    (("decoder.blocks.0.block.0.0.weight",), "smp_linknet"),
    (("decoder.p5.weight",), "smp_fpn"),
    (("decoder.aspp.0.convs.0.0.weight",), "smp_deeplabv3plus"),
    (("classifier.cbr.0.weight",), "lraspp_mobilenet_v3_large"),
    (("classifier.0.convs.0.0.weight", "backbone.layer3.22.conv1.weight"), "deeplabv3_resnet101"),
    (("classifier.0.convs.0.0.weight", "backbone.layer3.0.conv1.weight"), "deeplabv3_resnet50"),
    (("classifier.0.convs.0.0.weight",), "deeplabv3_mobilenet_v3_large"),
    (("classifier.4.weight", "backbone.layer3.22.conv1.weight"), "fcn_resnet101"),
    (("classifier.4.weight", "backbone.layer3.0.conv1.weight"), "fcn_resnet50"),
    (("backbone.scale_weight",), "ssd300_vgg16"),
    (("head.classification_head.module_list.0.0.0.weight",), "ssdlite320_mobilenet_v3_large"),
)


def recognise(state):
    """Name of the architecture that a state dict's keys look like, or None.

    state: mapping from key to tensor, or to anything with a shape.
    """
    keys = {key.removeprefix("module."): value for key, value in state.items()}
    fits = (name for marks, name in MARKS if all(key in keys for key in marks))
    return _yolo(keys) or next(fits, None)


def _yolo(keys):
    families = (entry for entry in YOLO if all(key in keys for key in (FIRST, *entry[1])))
    family, _, sizes = next(families, (None, (), {}))
    if family is None:
        return None
    size = sizes.get(keys[FIRST].shape[0], "")
    # From release 11 on, m and l are of one width, and l repeats what m has once.
    return family + ("l" if sizes is FROM_11 and size == "m" and REPEATED in keys else size)
