"""The networks, with their preprocessing, decoding and class names."""

from lcrp.models.base import Model
from lcrp.models.conversion import convert, manifest_of
from lcrp.models.geometry import Geometry
from lcrp.models.loading import architectures, build_model, load_model
from lcrp.models.predictions import Detections, Segmentation

__all__ = [
    "Detections",
    "Geometry",
    "Model",
    "Segmentation",
    "architectures",
    "build_model",
    "convert",
    "load_model",
    "manifest_of",
]
