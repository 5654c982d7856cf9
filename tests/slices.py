"""Numbers that share weights: what is left of the largest layers, and one-hot mixing weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from compiler.genotype import Genotype
from compiler.ir import Region
from compiler.program import stacks


def sliced(name: str, whole: Tensor, shape: Sequence[int], pixels: int = 1) -> Tensor:
    """The part of a tensor that a layer of a smaller shape has.

    These are the first numbers of every axis, in a window those around its centre. Queries, keys
    and values lie one after the other. A matrix that reads flattened images has `pixels` columns
    for each of their channels.
    """
    if ".qkv." in name or name.startswith("qkv."):
        third = (shape[0] // 3, *shape[1:])
        return torch.cat([_first(part, third) for part in whole.chunk(3)])
    if pixels > 1:
        by_channel = whole.reshape(len(whole), -1, pixels)
        return _first(by_channel, (shape[0], shape[1] // pixels, pixels)).flatten(1)
    return _first(whole, shape)


def _first(whole: Tensor, shape: Sequence[int]) -> Tensor:
    for axis, size in enumerate(shape):
        is_window = len(shape) == 4 and axis >= 2
        start = (whole.shape[axis] - size) // 2 if is_window else 0
        whole = whole.narrow(axis, start, size)
    return whole


def carried(
    final: nn.Module, state: Mapping[str, Tensor], pixels: Mapping[str, int] | None = None
) -> None:
    """Gives a final model its slices of a supernet's weights, found by their names."""
    pixels = pixels or {}
    found = {
        name: sliced(name, state[name], own.shape, pixels.get(name, 1))
        for name, own in final.state_dict().items()
    }
    final.load_state_dict({name: value.clone() for name, value in found.items()})


def one_hot(kinds: Sequence[Region], genotype: Genotype) -> dict[str, Any]:
    """Mixing weights, as a supernet takes them, that are 1 for what a genotype chooses."""
    weights: dict[str, Any] = {}
    for kind in kinds:
        chosen = dict(genotype.cells[kind.name].decisions) if kind.name in genotype.cells else {}
        rows = [
            torch.tensor([float(chosen.get(d.path) == label) for label, _ in d.options])
            for d in kind.decisions
        ]
        groups = stacks(kind.decisions)
        tensors = tuple(torch.stack([rows[i] for i in group]) for group in groups)
        weights[kind.name] = tensors[0] if len(tensors) == 1 else tensors
    return weights
