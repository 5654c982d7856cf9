"""What a language model is trained by, besides its loss: its carried state and its penalties.

Words are int64 [length, batch], logits [length, batch, words]; a state is a tensor [batch, width]
or a tuple of them.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar, cast

from torch import Tensor, nn

from runtime.errors import UserError

HiddenState = Tensor | tuple[Tensor, ...]
StateOrNone = TypeVar("StateOrNone", bound=HiddenState | None)


def perplexity(loss: float) -> float:
    """The exponential of a mean cross-entropy per word; infinite where it is too large to tell."""
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf


def detached(state: StateOrNone) -> StateOrNone:
    """The same numbers as a constant; None, the state of zeros, stays None."""
    if state is None:
        return state
    if isinstance(state, tuple):
        return cast(StateOrNone, tuple(part.detach() for part in state))
    return cast(StateOrNone, state.detach())


class Penalties:
    """The penalties of Merity, Keskar & Socher (ICLR 2018, section 5) on a recurrent network.

    With h_t the outputs of the recurrence and d_t what the decoder reads, after dropout, both
    [length, batch, width], they are

        slowness · mean((h_t − h_{t−1})²) + activation · mean(d_t²).

    Forward hooks on the two parts keep h and d of the latest pass; a penalty of 0 keeps nothing.
    """

    def __init__(self, model: nn.Module, slowness: float, activation: float) -> None:
        """`model` is the generated module; its attributes `recurrence` and `readout` name the
        parts.

        Raises:
            UserError: when a penalty is asked for and the network has no such part.
        """
        self.slowness, self.activation = slowness, activation
        self._kept: dict[str, Tensor] = {}
        if slowness > 0:
            _part(model, "recurrence", "slowness").register_forward_hook(self._keep_outputs)
        if activation > 0:
            _part(model, "readout", "activation").register_forward_hook(self._keep_input)

    def read(self) -> Tensor | float:
        """The penalties of the latest forward pass, which is forgotten."""
        total: Tensor | float = 0.0
        if self.slowness > 0:
            outputs = self._kept.pop("outputs")
            if len(outputs) > 1:  # the mean of no differences is not a number
                total = total + self.slowness * (outputs[1:] - outputs[:-1]).pow(2).mean()
        if self.activation > 0:
            total = total + self.activation * self._kept.pop("dropped").pow(2).mean()
        return total

    def _keep_outputs(self, module: nn.Module, inputs: Any, result: Any) -> None:
        self._kept["outputs"] = result[0] if isinstance(result, tuple) else result

    def _keep_input(self, module: nn.Module, inputs: Any, result: Any) -> None:
        self._kept["dropped"] = inputs[0]


def _part(model: nn.Module, attribute: str, setting: str) -> nn.Module:
    name = getattr(model, attribute, "")
    if not name:
        raise UserError(
            f"`{setting}` penalises the {attribute} of a recurrent network, and this one has "
            f"none: set `{setting}` to 0"
        )
    return model.get_submodule(name)
