"""Five writings of one network agree, on random spaces.

With all mass on the options of a genotype, the search program is the network specialised to it. So
five things compute the same, forwards and backwards: the interpreted search program, its generated
supernet under every pipeline, the interpreted specialised program, and the network generated from
that one, which runs in a namespace of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from constructs import EVERY, constructs
from inheritance import inherited, shared_paths
from random_spaces import random_space
from support import inputs, randomise
from torch import Tensor, nn

import compiler
from compiler.codegen.module import generate
from compiler.compile import compile_space, execute
from compiler.counting.architectures import architectures
from compiler.fitting import resolve
from compiler.genotype import Genotype
from compiler.instantiate import instantiate
from compiler.interpret import interpret
from compiler.ir import Region
from compiler.passes import PIPELINES
from compiler.program import Program, kept, stacks
from compiler.specialise import specialise
from compiler.supernet import Supernet
from compiler.verify import verify
from dsl import Space, load_text
from dsl.parse import parse
from dsl.source import Source

CHUNK = 10


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "numbers" in metafunc.fixturenames:
        count = metafunc.config.getoption("--random-spaces")
        chunks = [range(i, min(i + CHUNK, count)) for i in range(0, count, CHUNK)]
        ids = [f"{chunk.start}-{chunk.stop - 1}" for chunk in chunks]
        metafunc.parametrize("numbers", chunks, ids=ids)


def test_all_writings_of_a_space_agree(numbers: range, tmp_path: Path) -> None:
    for number in numbers:
        text = random_space(number)
        try:
            check(number, text, tmp_path)
        except Exception as error:
            error.add_note(f"space {number}:\n{text}")
            raise


def test_every_construct_occurs_in_twenty_spaces_of_500() -> None:
    texts = (Source(f"<space {i}>", random_space(i)) for i in range(500))
    found = Counter(name for text in texts for name in constructs(parse(text)))
    assert {name: found[name] for name in EVERY if found[name] < 20} == {}


def test_a_space_is_a_function_of_its_number() -> None:
    assert random_space(7) == random_space(7) != random_space(8)


def check(number: int, text: str, folder: Path) -> None:
    torch.manual_seed(number)
    space = load_text(text)
    nets = {passes: supernet(space, passes) for passes in PIPELINES}
    net = nets["none"]
    derivation = net.derive()
    genotype = derivation.genotype
    genotype.save(folder / "genotype.yaml", derivation.audit)
    assert Genotype.load(folder / "genotype.yaml") == genotype
    counts(net.program.kinds)
    chosen = resolve(genotype, net.program.kinds)
    program = specialise(net.program, chosen)
    verify(program, after="specialising")
    network = written(program)
    for made, of in ((net.model, net.program), (network, program)):
        assert instantiate(of).weights == sum(p.numel() for p in made.parameters())
    names = inherited(net.program, net.model, program, network, chosen)
    state = {name: value.clone() for name, value in net.model.state_dict().items()}
    read = read_by(program, net.model)
    for training in (True, False):
        agree(nets, program, network, names, chosen, state, read, training)
    final(space, genotype)


def supernet(space: Space, passes: str) -> Supernet:
    net = compiler.build(space, passes=passes)
    assert isinstance(net, Supernet)
    randomise(net)
    return net


def written(program: Program) -> nn.Module:
    """The network of a program without choices, its text executed in a namespace of its own."""
    source = generate(program, instantiate(program), "A network.")
    made: nn.Module = execute(source, "<random>")["Supernet"]()
    return made


def counts(kinds: Sequence[Region]) -> None:
    """The number of architectures is that of what can be listed, where that is short."""
    found = architectures(kinds)
    if found < 2000:
        assert found == prod(sum(1 for _ in listed(kind)) for kind in kinds)


def listed(kind: Region) -> Iterator[tuple[tuple[str, str], ...]]:
    """All that a kind can decide: for every node some of its edges, with an option for each."""
    by_node = []
    for node, count in kept(kind).items():
        own = [d for d in kind.decisions if d.place == node]
        by_node.append(
            [
                tuple(zip((d.path for d in edges), options, strict=True))
                for edges in combinations(own, count)
                for options in product(*(d.selectable for d in edges))
            ]
        )
    for parts in product(*by_node):
        yield tuple(pair for part in parts for pair in part)


@dataclass(frozen=True)
class Result:
    """What a network gives back (outputs, then states), and the gradients of a sum over it."""

    values: list[Tensor]
    gradients: dict[str, Tensor | None]


Run = Callable[[list[Tensor], list[Tensor]], Any]
Read = Mapping[str, Tensor]
"""What a network reads: its inputs, `x0` and so on, and its states by their numbers."""


def read_by(program: Program, network: nn.Module, batch: int = 3) -> Read:
    hidden = list(flat(network.init_hidden(batch))) if hasattr(network, "init_hidden") else []
    states = {str(number): torch.randn_like(value) for number, value in enumerate(hidden)}
    return {**{f"x{n}": x for n, x in enumerate(inputs(program, batch))}, **states}


def measured(run: Run, read: Read, leaves: Mapping[str, Tensor]) -> Result:
    read = {n: v.clone().requires_grad_(v.is_floating_point()) for n, v in read.items()}
    leaves = {**leaves, **{n: v for n, v in read.items() if v.requires_grad}}
    given = [value for name, value in read.items() if name.startswith("x")]
    values = list(flat(run(given, list(read.values())[len(given) :])))
    torch.manual_seed(1)
    loss = torch.stack([(torch.randn_like(value) * value).sum() for value in values]).sum()
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    return Result([v.detach() for v in values], dict(zip(leaves, found, strict=True)))


def flat(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        yield result
    else:
        for part in result:
            yield from flat(part)


def interpreted(
    program: Program,
    network: nn.Module,
    state: Mapping[str, Tensor],
    rows: Mapping[str, list[Tensor]],
    training: bool,
    read: Read,
) -> Result:
    """What the interpreter makes of it; tied weights, one parameter of `network`, are one leaf."""
    leaves: dict[str, Tensor] = {}
    numbers = dict(state)
    first: dict[int, str] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        same = first.setdefault(id(parameter), name)
        if same == name:
            leaves[name] = state[name].clone().requires_grad_()
        numbers[name] = leaves[same]

    def run(given: list[Tensor], hidden: list[Tensor]) -> Any:
        return interpret(program, given, numbers, rows, training, hidden or None)

    return measured(run, read, leaves)


def generated(
    network: nn.Module, state: Mapping[str, Tensor], weights: list[Any], training: bool, read: Read
) -> Result:
    network.load_state_dict(state)
    network.train(training)

    def run(given: list[Tensor], hidden: list[Tensor]) -> Any:
        state = hidden[0] if len(hidden) == 1 else tuple(hidden)
        return network(*given, *weights, *([state] if hidden else []))

    return measured(run, read, dict(network.named_parameters()))


def one_hot(
    kinds: Sequence[Region], chosen: Mapping[str, Mapping[str, str]]
) -> tuple[dict[str, list[Tensor]], dict[str, Any]]:
    """Mixing weights that are 1 for what is chosen: as rows, and as a supernet takes them."""
    rows, stacked = {}, {}
    for kind in kinds:
        rows[kind.name] = [
            torch.tensor([float(chosen[kind.name].get(d.path) == label) for label, _ in d.options])
            for d in kind.decisions
        ]
        groups = stacks(kind.decisions)
        tensors = tuple(torch.stack([rows[kind.name][i] for i in group]) for group in groups)
        stacked[kind.name] = tensors[0] if len(tensors) == 1 else tensors
    return rows, stacked


def agree(
    nets: Mapping[str, Supernet],
    program: Program,
    network: nn.Module,
    names: Mapping[str, str],
    chosen: Mapping[str, Mapping[str, str]],
    state: Mapping[str, Tensor],
    read: Read,
    training: bool,
) -> None:
    """Compares all writings with the interpreted search program."""
    net = nets["none"]
    rows, weights = one_hot(net.program.kinds, chosen)
    given = [weights] if net.program.kinds else []
    expected = interpreted(net.program, net.model, state, rows, training, read)
    for each in nets.values():
        result = generated(each.model, state, given, training, read)
        same(result, expected, {name: name for name in expected.gradients})
    own = {name: state[names[name]] for name in network.state_dict()}
    passed_on = {**names, **{name: name for name in read}}
    same(interpreted(program, network, own, {}, training, read), expected, passed_on)
    same(generated(network, own, [], training, read), expected, passed_on)
    shared = tuple(shared_paths(program, network))
    statistics(nets, network, {n: of for n, of in names.items() if not n.startswith(shared)})


def same(result: Result, expected: Result, names: Mapping[str, str]) -> None:
    """Values and gradients are the same; what has no like has no gradient."""
    for value, other in zip(result.values, expected.values, strict=True):
        close(value, other, scale(expected.values))
    size = scale([g for g in expected.gradients.values() if g is not None])
    rest = dict(expected.gradients)
    for name, gradient in result.gradients.items():
        close(gradient, rest.pop(names[name]), size)
    for gradient in rest.values():
        close(None, gradient, size)


def scale(tensors: Sequence[Tensor]) -> float:
    return max([1.0, *(float(t.abs().max()) for t in tensors)])


def close(value: Tensor | None, other: Tensor | None, size: float) -> None:
    """Equal up to rounding at this scale; None is zeros."""
    first, second = (torch.zeros(()) if v is None else v for v in (value, other))
    torch.testing.assert_close(*torch.broadcast_tensors(first, second), rtol=0, atol=1e-9 * size)


def statistics(nets: Mapping[str, Supernet], network: nn.Module, names: Mapping[str, str]) -> None:
    """Running statistics moved alike; a norm that nothing reads is not run in the end.

    What is shared also sees the values of losing options in a supernet.
    """
    first = dict(nets["none"].model.named_buffers())
    for net in nets.values():
        for name, value in net.model.named_buffers():
            close(value.double(), first[name].double(), scale([first[name]]))
    for name in names.keys() & dict(network.named_buffers()).keys():
        batches = f"{name.rpartition('.')[0]}.num_batches_tracked"
        if network.get_buffer(batches) == first[names[batches]]:
            value, other = network.get_buffer(name).double(), first[names[name]].double()
            close(value, other, scale([other]))


def final(space: Space, genotype: Genotype) -> None:
    """The network in its final profile computes what its own program says, with a head or not."""
    compiled = compile_space(space, genotype=genotype)
    make = execute(compiled.source, "<random>")["Network"]
    network = make()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    read = read_by(compiled.program, network)
    for training in (True, False):
        expected = interpreted(compiled.program, network, state, {}, training, read)
        result = generated(network, state, [], training, read)
        same(result, expected, {name: name for name in expected.gradients})
    if compiled.program.network.auxiliary:
        headed = make(auxiliary=True)
        headed.load_state_dict(state, strict=False)
        network.load_state_dict(state)
        *outputs, auxiliary = headed(*read.values())
        for own, other in zip(outputs, flat(network.train()(*read.values())), strict=True):
            close(own, other, 1.0)
        assert auxiliary.shape == outputs[0].shape
