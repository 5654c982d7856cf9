"""The passes and the pipelines made of them, in one list."""

from compiler.passes.pipelines import ONCE, PIPELINES, Pass, pipeline, usual

__all__ = ["ONCE", "PIPELINES", "Pass", "pipeline", "usual"]
