"""Which architecture the keys of a state dict look like."""

YOLOV5_SIZES = {16: "yolov5n", 32: "yolov5s", 48: "yolov5m", 64: "yolov5l", 80: "yolov5x"}

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
    if "model.24.m.0.weight" in keys and "model.0.conv.weight" in keys:
        return YOLOV5_SIZES.get(keys["model.0.conv.weight"].shape[0], "yolov5")
    return next((name for marks, name in MARKS if all(key in keys for key in marks)), None)
