"""What the engine can walk through: one class per kind of operation, and which node gets which."""

from lcrp.attribution.operations.base import Operation
from lcrp.attribution.operations.catalogue import operation_for, register_operation

__all__ = ["Operation", "operation_for", "register_operation"]
