"""A bilevel step as one CUDA graph.

A step on images is thousands of small kernels, whose launches take the host longer than the device
takes to compute them. Captured once and replayed, they are launched by one call. All that a replay
reads and writes stays where it was at the capture: batches are copied into tensors of their own,
the learning rate is a tensor on the device, and what a step gives is copied out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from runtime.bilevel import BilevelStep, StepLosses
from runtime.objective import Outcome

WARM = 3
"""Steps before the capture: optimisers make their state and libraries choose their kernels."""

Work = Callable[[], StepLosses]


class Graph(Protocol):
    """Work that is done once more whenever it is asked for, without Python."""

    def warm(self, work: Work) -> StepLosses:
        """Does the work as it will be captured."""
        ...

    def capture(self, work: Work) -> StepLosses:
        """Notes the work without doing it; gives where each `replay` will write its results.

        Raises:
            RuntimeError: when it cannot be noted.
        """
        ...

    def replay(self) -> None: ...

    def random_state(self) -> Tensor:
        """That of the random numbers that the work may draw, on the host."""
        ...


class CudaGraph:
    """A graph of `torch.cuda`. Warm-ups and the capture share a stream, as torch demands."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)
        self.graph = torch.cuda.CUDAGraph()

    def warm(self, work: Work) -> StepLosses:
        main = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(main)
        with torch.cuda.stream(self.stream), _fastest_convolutions():
            result = work()
        main.wait_stream(self.stream)
        return result

    def capture(self, work: Work) -> StepLosses:
        # A thread that prepares batches goes on meanwhile: its calls are none of the capture's.
        mode = "thread_local"
        with (
            _fastest_convolutions(),
            torch.cuda.graph(self.graph, stream=self.stream, capture_error_mode=mode),
        ):
            return work()

    def replay(self) -> None:
        self.graph.replay()

    def random_state(self) -> Tensor:
        return torch.cuda.get_rng_state(self.device)


class CapturedStep(BilevelStep):
    """A `BilevelStep` that is captured after a few steps and replayed from then on.

    It stays an ordinary step, and says why in one line, where what it does cannot be the same each
    time: with penalties, which hooks read; with the exact Hessian; with random numbers in the
    second order, which draws them twice; where batches are no plain tensors; where the capture
    fails. Batches of another shape than the first are ordinary steps too.

    Its optimisers must be made for it, see `capturable`.

    Args:
        tell: is given the line.
        graph: what captures; None is a CUDA graph on the network's device.
        options: those of `BilevelStep`.
    """

    def __init__(
        self,
        net: nn.Module,
        weight_optimiser: torch.optim.SGD,
        alpha_optimiser: torch.optim.Optimizer,
        *,
        tell: Callable[[str], None],
        graph: Graph | None = None,
        **options: Any,
    ) -> None:
        super().__init__(net, weight_optimiser, alpha_optimiser, **options)
        self.tell = tell
        self.graph: Graph | None = graph or CudaGraph(self.alphas[0].device)
        self._warmed = 0
        self._batches: list[list[Tensor]] = []
        self._results: StepLosses | None = None
        self._told_of_shapes = False
        if self.penalty is not None:
            self._give_up("penalties are read by hooks")
        elif self.order == 2 and self.unrolled.hessian == "exact":
            self._give_up("the exact Hessian differentiates twice")

    def __call__(self, train: Any, valid: Any) -> StepLosses:
        if self.graph is None or not self._takes(train, valid):
            return super().__call__(train, valid)
        if self._results is not None:
            self._fill(train, valid)
            self.graph.replay()
            return _copied(self._results)
        if self._warmed < WARM:
            return self._warm(train, valid)
        if not self._capture():
            return super().__call__(train, valid)
        return self(train, valid)

    def _takes(self, train: Any, valid: Any) -> bool:
        """Whether the batches are tensors, of the shapes of the first ones."""
        given = [list(batch) if isinstance(batch, tuple) else [batch] for batch in (train, valid)]
        if not all(isinstance(tensor, Tensor) for batch in given for tensor in batch):
            self._give_up("its batches are not of one shape")
            return False
        if not self._batches:
            self._batches = [[_static(tensor) for tensor in batch] for batch in given]
        known = [[(t.shape, t.dtype) for t in batch] for batch in self._batches]
        if known == [[(t.shape, t.dtype) for t in batch] for batch in given]:
            return True
        if not self._told_of_shapes:
            self._told_of_shapes = True
            self.tell("a batch of another shape is computed without the captured step")
        return False

    def _fill(self, train: Any, valid: Any) -> None:
        for own, given in zip(self._batches, (train, valid), strict=True):
            for place, tensor in zip(own, given, strict=True):
                place.copy_(tensor, non_blocking=True)

    def _work(self) -> StepLosses:
        train, valid = (tuple(batch) for batch in self._batches)
        return super().__call__(train, valid)

    def _warm(self, train: Any, valid: Any) -> StepLosses:
        assert self.graph is not None
        self._fill(train, valid)
        self._warmed += 1
        before = self.graph.random_state()
        losses = self.graph.warm(self._work)
        drawn = not torch.equal(before, self.graph.random_state())
        if losses.training.state is not None:
            self._give_up("a state goes from step to step")
        elif self.order == 2 and drawn:
            self._give_up("the second order draws its random numbers twice")
        return losses

    def _capture(self) -> bool:
        """Captures the step; no number changes by it."""
        assert self.graph is not None
        try:
            self._results = self.graph.capture(self._work)
        except RuntimeError as error:
            first, *_ = str(error).splitlines() or [type(error).__name__]
            self._give_up(first)
            return False
        return True

    def _give_up(self, reason: str) -> None:
        self.graph = None
        self.tell(f"the step is not captured as a CUDA graph: {reason}")


def capturable(device: torch.device, lr: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """How SGD for the weights and Adam for the alphas are made for a device.

    On CUDA each is one kernel for all parameters; the weights' learning rate is a tensor there, as
    a number would be part of the graph, and so is Adam's count of steps.
    """
    if device.type != "cuda":
        return {"lr": lr}, {}
    rate = torch.tensor(lr, device=device)
    return {"lr": rate, "fused": True}, {"fused": True, "capturable": True}


def _static(tensor: Tensor) -> Tensor:
    """A place for batches like this one, of images with the channels last."""
    layout = torch.channels_last if tensor.dim() == 4 else torch.contiguous_format
    return torch.empty_like(tensor, memory_format=layout)


def _copied(losses: StepLosses) -> StepLosses:
    """The same numbers in tensors that the next step leaves alone."""
    return StepLosses(_apart(losses.training), _apart(losses.validation))


def _apart(outcome: Outcome) -> Outcome:
    correct = None if outcome.correct is None else outcome.correct.clone()
    return outcome._replace(loss=outcome.loss.clone(), correct=correct)


@contextmanager
def _fastest_convolutions() -> Iterator[None]:
    """Has cuDNN try its algorithms on every new shape; the warm-ups meet them all."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
