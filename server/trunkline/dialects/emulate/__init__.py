"""JSON mode and JSON Schema for targets that have none: pure, from messages to messages, whatever the dialect."""

from trunkline.dialects.emulate.plan import Plan, Structured, plan_of
from trunkline.dialects.emulate.reader import Reader

__all__ = ["Plan", "Reader", "Structured", "plan_of"]
