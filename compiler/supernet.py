"""A generated supernet with its alphas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from compiler.derive import Derivation, derive
from compiler.engine.optimised import Optimised
from compiler.engine.recompute import Budget
from compiler.genotype import Genotype
from compiler.program import Program, stacks

ALPHA_SCALE = 1e-3
State = Tensor | tuple[Tensor, ...]


class Supernet(nn.Module):
    """A search network: a generated module (`model`) and the alphas that weigh its mixtures.

    Alphas start at 1e-3 times a standard normal, drawn from torch's global generator; the
    relaxation is a softmax over each decision's options (Liu et al. 2019, equation 2), or a sigmoid
    of each where it is open how many are chosen (Chu et al. 2020, equation 4).
    """

    def __init__(
        self,
        model: nn.Module,
        program: Program,
        flat: Program | None = None,
        budget: Budget | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.program = program
        self.optimised = None if flat is None else Optimised(flat.network, model, budget)
        self.alphas = nn.ParameterDict()
        for kind in program.kinds:
            for number, stack in enumerate(stacks(kind.decisions)):
                options = len(kind.decisions[stack[0]].options)
                start = ALPHA_SCALE * torch.randn(len(stack), options)
                self.alphas[f"{kind.name}_{number}"] = nn.Parameter(start)

    def forward(self, *given: Any) -> Any:
        """Logits [batch, classes] of images [batch, channels, height, width].

        A recurrent network reads words [time, batch] and a state, zeros if left out or None, and
        gives logits [time, batch, words] and the state after them. A network of several inputs
        reads a tensor for each, in the order of the file; several outputs are a tuple.

        Raises:
            TypeError: for another number of tensors.
        """
        count = len(self.program.network.inputs)
        inputs, states = given[:count], given[count:]
        if len(inputs) < count or len(states) > 1:
            names = ", ".join(node.name for _, node in self.program.network.inputs)
            raise TypeError(f"this network reads {names}, and was given {len(given)} tensors")
        state: State | None = states[0] if states else None
        weights = [self.mixing_weights()] if self.program.kinds else []
        if self.optimised is not None and self.optimised.stands_for(*inputs):
            return self.optimised(inputs, weights, state)
        return self.model(*inputs, *weights, *([] if state is None else [state]))

    def init_hidden(self, batch: int) -> State:
        """The state of a recurrent network at the start of a stream."""
        start: Callable[[int], State] = self.model.init_hidden  # type: ignore[assignment]
        return start(batch)

    def mixing_weights(self) -> dict[str, Tensor | tuple[Tensor, ...]]:
        """By kind, the weights [decisions, options]; several tensors where stacks differ."""
        weights: dict[str, Tensor | tuple[Tensor, ...]] = {}
        for kind in self.program.kinds:
            groups = stacks(kind.decisions)
            found = tuple(
                torch.sigmoid(alphas)
                if kind.decisions[group[0]].above is not None
                else torch.softmax(alphas, dim=-1)
                for alphas, group in zip(self._alphas_of(kind.name), groups, strict=True)
            )
            weights[kind.name] = found[0] if len(found) == 1 else found
        return weights

    def arch_parameters(self) -> Iterator[nn.Parameter]:
        """The alphas, one tensor [decisions, options] for every stack, in file order."""
        yield from self.alphas.values()

    def weight_parameters(self) -> Iterator[nn.Parameter]:
        """Everything else that is trained, in the order of the program."""
        yield from self.model.parameters()

    def derive(self, rule: str | None = None) -> Derivation:
        """The genotype with the audit of every decision, by the file's rule or another.

        Raises:
            ValueError: for a rule that is not in `compiler.derive.RULES`.
        """
        rows = {
            kind.name: [
                row.tolist() for alphas in self._alphas_of(kind.name) for row in alphas.detach()
            ]
            for kind in self.program.kinds
        }
        return derive(self.program.kinds, rows, rule)

    def genotype(self) -> Genotype:
        return self.derive().genotype

    def _repr_svg_(self) -> str | None:
        """What a notebook shows: the cells as they would be derived now."""
        from compiler.pictures import of_kinds, together

        kinds = self.program.kinds
        return together(of_kinds(kinds, self.genotype())) if kinds else None

    def _alphas_of(self, kind: str) -> list[nn.Parameter]:
        decisions = next(k for k in self.program.kinds if k.name == kind).decisions
        return [self.alphas[f"{kind}_{number}"] for number in range(len(stacks(decisions)))]
