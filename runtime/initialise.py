"""How the weights of a recurrent network start."""

from __future__ import annotations

import torch
from torch import nn

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)


@torch.no_grad()
def initialise(net: nn.Module, bound: float) -> None:
    """Draws the weights of `net` uniformly from -`bound` to `bound`; a bound of 0 leaves them all.

    Weights are parameters of two or more dimensions, embeddings too. They are drawn from torch's
    global generator in the order of `named_parameters()`. Biases become zero. Alphas and the
    parameters of norms are left as they are. The authors' bound is 0.04 (the code of Liu et al.
    2019, `INITRANGE`).
    """
    if bound == 0:
        return
    of_norms = {
        id(p) for module in net.modules() if isinstance(module, NORMS) for p in module.parameters()
    }
    for name, parameter in net.named_parameters():
        if name.startswith("alphas.") or id(parameter) in of_norms:
            continue
        if parameter.ndim >= 2:
            parameter.uniform_(-bound, bound)
        else:
            parameter.zero_()
