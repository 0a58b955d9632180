"""Training of the small models of the embedded dataset, on the CPU and to the same bits."""

from lcrp.training.options import TrainingOptions
from lcrp.training.training import train_model

__all__ = ["TrainingOptions", "train_model"]
