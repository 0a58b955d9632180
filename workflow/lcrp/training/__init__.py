"""Training of the small models of the embedded dataset, on the CPU and to the same bits."""

from lcrp.training.training import train_model

__all__ = ["train_model"]
