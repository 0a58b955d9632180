"""A network as an explicit graph: one node per module or function that is called."""

from lcrp.attribution.graph.batch_norms import affine, merge_batch_norms
from lcrp.attribution.graph.nodes import Constant, Graph, Input, Node
from lcrp.attribution.graph.tracing import trace

__all__ = ["Constant", "Graph", "Input", "Node", "affine", "merge_batch_norms", "trace"]
