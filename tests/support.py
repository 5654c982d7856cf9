"""What tests of the compiler share: programs to try, and how networks are compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import dedent

import torch
from torch import Tensor, nn

from compiler import Genotype, Supernet
from compiler.compile import Compiled, compile_space
from compiler.expr import evaluate
from compiler.ir import Input
from compiler.program import Program
from dsl import Space, load_text

ROOT = Path(__file__).parents[1]
SPACES = ROOT / "spaces"
PROGRAMS = sorted((ROOT / "tests" / "compiler" / "programs").glob("*.darts"))
CIFAR = SPACES / "cifar_cell.darts"
RNN = SPACES / "rnn_cell.darts"
DARTS_V2 = """Genotype(
    normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1),
            ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)],
    normal_concat=[2, 3, 4, 5],
    reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1),
            ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)],
    reduce_concat=[2, 3, 4, 5])"""


def space(text: str) -> Space:
    """A program with the usual operations."""
    return load_text("language 1\nimport std\n" + dedent(text))


def compiled(text: str, genotype: Genotype | None = None, passes: str = "none") -> Compiled:
    return compile_space(space(text), genotype=genotype, passes=passes)


def weights(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def output(net: nn.Module, *read: Tensor, seed: int = 1) -> Tensor:
    """The first thing that a network makes of what it reads, its state left out, with the random
    numbers of a seed."""
    torch.manual_seed(seed)
    result = net(*read)
    while isinstance(result, tuple):
        result = result[0]
    return result


def images(program: Program, batch: int = 2) -> Tensor:
    """What a program reads first; see `inputs`."""
    return inputs(program, batch)[0]


def inputs(program: Program, batch: int = 2, steps: int = 5) -> list[Tensor]:
    """Random inputs of the sizes that a program reads; in sequences the time comes first."""
    env = {**dict.fromkeys(program.open_sizes, steps), **program.values}
    return [_input(node, env, batch) for _, node in program.network.inputs]


def _input(node: Input, env: dict[str, int], batch: int) -> Tensor:
    sizes = [evaluate(size, env) for size in node.shape]
    if node.below is not None:
        return torch.randint(evaluate(node.below, env), (*sizes, batch))
    if len(sizes) == 2:
        return torch.randn(sizes[0], batch, sizes[1])
    return torch.randn(batch, *sizes)


def randomise(net: nn.Module) -> None:
    """Random alphas and statistics, so that nothing is equal by accident."""
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    if isinstance(net, Supernet):
        for alphas in net.arch_parameters():
            alphas.data.normal_()


def rows(net: Supernet) -> dict[str, list[Tensor]]:
    """By kind, the mixing weights of every decision."""
    found = {}
    for kind, tensors in net.mixing_weights().items():
        stacked = tensors if isinstance(tensors, tuple) else (tensors,)
        found[kind] = [row for tensor in stacked for row in tensor]
    return found


def model_state(net: Supernet) -> dict[str, Tensor]:
    return dict(net.model.state_dict())


def in_program_order(net: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Weights and statistics as the program makes them, those of an auxiliary head last."""
    state = net.state_dict().items()
    head = ("auxiliary.", "head.")
    yield from ((name, value) for name, value in state if not name.startswith(head))
    yield from ((name, value) for name, value in state if name.startswith(head))


def carry_over(source: nn.Module, target: nn.Module) -> None:
    """Gives `target` the weights of another writing of the same network."""
    pairs = zip(in_program_order(source), in_program_order(target), strict=True)
    target.load_state_dict({name: value.clone() for (_, value), (name, _) in pairs})


def sources(genotype: Genotype, kind: str) -> tuple[tuple[str, int], ...]:
    """What a kind decided as (option, number of the source) pairs."""
    cell = genotype.cells[kind]
    return tuple(
        (option, cell.sources.index(path.split(" from ")[1])) for path, option in cell.decisions
    )


def gradients(loss: Tensor, parameters: Sequence[Tensor]) -> list[Tensor | None]:
    return list(torch.autograd.grad(loss, parameters, allow_unused=True))
