"""The canonical layout of a file: of its text with the comments kept, or of a syntax tree."""

from dsl.layout.format import formatted, printed

__all__ = ["formatted", "printed"]
