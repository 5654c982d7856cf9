"""The passes and the pipelines made of them, in one list."""

from compiler.passes.pipelines import PIPELINES, Pass, pipeline

__all__ = ["PIPELINES", "Pass", "pipeline"]
