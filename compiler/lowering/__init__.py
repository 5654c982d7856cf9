"""Lowering: from the syntax tree to the IR."""

from compiler.lowering.declarations import lower

__all__ = ["lower"]
