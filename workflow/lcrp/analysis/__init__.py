"""The glocal analysis: what a shard records of its images, targets and concepts.

`analyse` explains a slice of a dataset; `Annotation` says what is annotated in one image, in the
pixels of the network's input.
"""

from lcrp.analysis.annotation import Annotation
from lcrp.analysis.recording import analyse

__all__ = ["Annotation", "analyse"]
