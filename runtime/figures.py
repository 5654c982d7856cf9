"""Measured figures in words."""

from __future__ import annotations


def figure(name: str, value: float) -> str:
    """A figure by the kind that its name ends in: a share in percent, a perplexity, or a loss."""
    if name.endswith(("accuracy", "top5")):
        return f"{value:.2%}"
    return f"{value:.2f}" if name.endswith("perplexity") else f"{value:.4f}"


def called(name: str) -> str:
    """`best_test_accuracy` as `best test accuracy`, and `top5` as `top-5 accuracy`."""
    return name.replace("top5", "top-5_accuracy").replace("_", " ")
