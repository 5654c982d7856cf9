"""Pictures of cells: SVG, Graphviz and Mermaid."""

from compiler.pictures.picture import Picture, draw, of_genotype, of_kinds, together

__all__ = ["Picture", "draw", "of_genotype", "of_kinds", "together"]
