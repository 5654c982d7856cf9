"""All that changes during a run, as named tensors: what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from runtime.errors import UserError
from runtime.seeds import stream_seed


@dataclass(frozen=True)
class State:
    """The network (weights, alphas, running statistics), its optimisers and torch's own random
    numbers. The batches need no state: they are functions of the seed and the step. Training a
    final model has no alphas, and None for their optimiser."""

    net: nn.Module
    weight_optimiser: torch.optim.Optimizer
    alpha_optimiser: torch.optim.Optimizer | None
    device: torch.device

    @property
    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        found = {"weights": self.weight_optimiser}
        if self.alpha_optimiser is not None:
            found["alphas"] = self.alpha_optimiser
        return found

    def tensors(self) -> dict[str, Tensor]:
        """Copies on the host: `net.<name>`, `weights.<parameter>.<key>`, `alphas.…`, `random.…`."""
        found = {f"net.{name}": tensor for name, tensor in self.net.state_dict().items()}
        for prefix, optimiser in self._optimisers.items():
            for index, values in optimiser.state_dict()["state"].items():
                for key, value in values.items():
                    if isinstance(value, Tensor):
                        found[f"{prefix}.{index}.{key}"] = value
        found["random.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            found["random.cuda"] = torch.cuda.get_rng_state(self.device)
        return host_copies(found)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts back what `tensors` gave.

        Raises:
            UserError: when they are another network's.
        """
        try:
            self.net.load_state_dict(under("net.", tensors))
            for prefix, optimiser in self._optimisers.items():
                self._restore_optimiser(optimiser, under(f"{prefix}.", tensors))
            torch.set_rng_state(tensors["random.cpu"])
            if self.device.type == "cuda" and "random.cuda" in tensors:
                torch.cuda.set_rng_state(tensors["random.cuda"], self.device)
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(
                "the checkpoint does not fit the run's own space: start a new run"
            ) from error

    def _restore_optimiser(
        self, optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
    ) -> None:
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            index, key = name.split(".", 1)
            parameter = parameters[int(index)]
            if key != "step":
                if tensor.shape != parameter.shape:
                    raise ValueError(f"`{name}` is of shape {list(tensor.shape)}")
                # In the parameter's memory format, so that later kernels round alike.
                tensor = torch.empty_like(parameter).copy_(tensor)
            state.setdefault(int(index), {})[key] = tensor
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's own random numbers from `seed` within, and the caller's untouched afterwards."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(stream_seed(seed, "torch"))
        yield


def host_copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous copies on the host, each with memory of its own, as safetensors demands."""
    return {
        name: torch.empty_like(tensor, device="cpu", memory_format=torch.contiguous_format).copy_(
            tensor
        )
        for name, tensor in tensors.items()
    }


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names start with `prefix`, without it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
