"""The options that the benchmarks of search steps have in common."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from networks import Subject, subject

from dsl.diagnostics import DartsError

Sizes = Mapping[str, Mapping[str, int]]
"""By the name of a space, what is laid over its search profile."""

PAPER: Sizes = {"rnn_cell": {"batch": 64}}
QUICK: Sizes = {
    "cifar_cell": {"C": 4, "N": 3, "size": 16, "batch": 8},
    "nas_bench_201": {"C": 4, "N": 1, "size": 16, "batch": 8},
    "rnn_cell": {"V": 50, "H": 16, "bptt": 5, "batch": 8},
}


def parser(description: str, rounds: int | None = None) -> argparse.ArgumentParser:
    """With `rounds`, the steps of each network are timed so often."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--quick", action="store_true", help="sizes that take a moment")
    if rounds is not None:
        made.add_argument("--rounds", type=int, default=rounds, help="timed steps of each network")
    return made


def add_space(made: argparse.ArgumentParser, sizes: Sizes) -> None:
    """Which space, and in what sizes: `sizes` if the command names none."""
    made.set_defaults(sizes=sizes)
    made.add_argument(
        "--space",
        default="cifar_cell",
        help="cifar_cell, nas_bench_201, rnn_cell, or the path of a .darts file",
    )
    made.add_argument(
        "--set",
        dest="overrides",
        type=override,
        action="append",
        default=[],
        metavar="KEY=NUMBER",
        help="a parameter of the network, or a setting such as batch",
    )


def override(text: str) -> tuple[str, int | float]:
    name, _, value = text.partition("=")
    try:
        return name, int(value)
    except ValueError:
        return name, float(value)


def chosen(options: argparse.Namespace, **more: Any) -> Subject:
    """The space and the sizes that were asked for.

    Raises:
        SystemExit: for a fault of the file or an override, or where nothing is decided.
    """
    usual = (QUICK if options.quick else options.sizes).get(options.space, {})
    try:
        return subject(options.space, {**usual, **dict(options.overrides)}, **more)
    except (DartsError, ValueError) as fault:
        raise SystemExit(str(fault)) from None
