"""The largest of several values and their product, number by number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from compiler.engine.operation import Operation, Reads, Wanted
from compiler.engine.run import Run


class Maximum(Operation):
    """What is equally large has equal parts of the gradient, as in torch."""

    def forward(self, run: Run, *operands: Any) -> Any:
        return reduce(torch.maximum, operands)

    def reads(self, wanted: Wanted) -> Reads:
        return Reads(frozenset(range(len(self.operands))), output=True)

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        count = reduce(torch.add, [(operand == output).to(g.dtype) for operand in operands])
        return torch.where(operands[index] == output, g / count, 0)


class Product(Operation):
    hands_on = True

    def forward(self, run: Run, *operands: Any) -> Any:
        return reduce(torch.mul, operands)

    def reads(self, wanted: Wanted) -> Reads:
        every = frozenset(range(len(self.operands)))
        (alone,) = wanted.operands if len(wanted.operands) == 1 else (None,)
        return Reads(every - {alone})

    def gradient(
        self,
        run: Run,
        index: int,
        g: Any,
        operands: Sequence[Any],
        output: Any,
        into: Tensor | None,
    ) -> Any:
        others = [operand for i, operand in enumerate(operands) if i != index]
        return reduce(torch.mul, others, g)
