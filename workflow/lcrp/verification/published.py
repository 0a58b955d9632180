"""What was reported of the verification: Dreyer et al., arXiv 2211.11426.

As it stands in the public scripts of the experiments: mean squared error and correlation per
method, one value per layer.
"""

LAYERS = {
    "unet": ("encoder.features.0", "encoder.features.5", "encoder.features.10"),
    "deeplabv3plus": (
        "backbone.layer4.2.conv2", "backbone.layer4.0.conv3", "backbone.layer3.0.conv1",
    ),
    "yolov6": (
        "backbone.ERBlock_3.0.rbr_dense.conv", "backbone.ERBlock_4.0.rbr_dense.conv",
        "backbone.ERBlock_5.0.rbr_dense.conv",
    ),
    "yolov5": ("model.6.cv3.conv", "model.8.cv3.conv", "model.10.conv"),
}  # fmt: skip

# Mean squared errors and correlations in the order of the layers.
VALUES = {
    "unet": {
        "L-CRP": ((0.0518, 0.0352, 0.0316), (0.460, 0.603, 0.696)),
        "latent LRP": ((0.0530, 0.0371, 0.0451), (0.459, 0.600, 0.658)),
        "guided GradCAM": ((0.0806, 0.0616, 0.0802), (0.110, 0.353, 0.463)),
        "SS-GradCAM": ((0.0708, 0.0563, 0.0744), (0.107, 0.298, 0.410)),
        "GradCAM": ((0.0787, 0.0783, 0.0740), (0.003, 0.107, 0.223)),
        "activation": ((0.2808, 0.2458, 0.1607), (0.410, 0.552, 0.645)),
    },
    "deeplabv3plus": {
        "L-CRP": ((0.0140, 0.0250, 0.0694), (0.777, 0.762, 0.551)),
        "latent LRP": ((0.0166, 0.0327, 0.0749), (0.756, 0.756, 0.562)),
        "guided GradCAM": ((0.0511, 0.0392, 0.0237), (0.337, 0.383, 0.351)),
        "SS-GradCAM": ((0.0524, 0.0409, 0.0277), (0.264, 0.324, 0.260)),
        "GradCAM": ((0.0589, 0.0679, 0.0478), (0.233, 0.217, 0.197)),
        "activation": ((0.0525, 0.1192, 0.2399), (0.736, 0.726, 0.465)),
    },
    "yolov6": {
        "L-CRP": ((0.0298, 0.0287, 0.0253), (0.654, 0.684, 0.805)),
        "latent LRP": ((0.0272, 0.0267, 0.0319), (0.659, 0.689, 0.803)),
        "guided GradCAM": ((0.0589, 0.0647, 0.0753), (0.540, 0.547, 0.652)),
        "SS-GradCAM": ((0.0519, 0.0528, 0.0669), (0.477, 0.515, 0.642)),
        "GradCAM": ((0.0569, 0.0575, 0.0455), (0.320, 0.321, 0.436)),
        "activation": ((0.1981, 0.2035, 0.1192), (0.682, 0.682, 0.755)),
    },
    "yolov5": {
        "L-CRP": ((0.0205, 0.0310, 0.0229), (0.686, 0.826, 0.829)),
        "latent LRP": ((0.0302, 0.0306, 0.0950), (0.549, 0.805, 0.718)),
        "guided GradCAM": ((0.0576, 0.0529, 0.0881), (0.376, 0.555, 0.497)),
        "SS-GradCAM": ((0.0616, 0.0558, 0.1458), (0.369, 0.565, 0.585)),
        "GradCAM": ((0.0631, 0.0592, 0.0801), (0.247, 0.332, 0.334)),
        "activation": ((0.2123, 0.1508, 0.0791), (0.639, 0.780, 0.744)),
    },
}


def reported(architecture: str, layer: str, method: str) -> tuple[float, float] | None:
    """What was reported for a layer of a family of models: RMSE and correlation, or None."""
    for family, layers in LAYERS.items():
        if architecture.startswith(family) and layer in layers and method in VALUES[family]:
            place = layers.index(layer)
            errors, correlations = VALUES[family][method]
            return errors[place] ** 0.5, correlations[place]
    return None
