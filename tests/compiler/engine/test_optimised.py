"""When the plain module runs instead, and that an optimised supernet is a module like any other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from support import PROGRAMS, RNN, compiled, images, space
from torch import Tensor, nn

import compiler
from compiler import Supernet
from compiler.engine.optimised import Optimised
from runtime.cross_entropy import cross_entropy
from runtime.language_model import Penalties

TEXT = """
    cell u from x = x -> choose { relu_conv_bn(3), max_pool(3) -> bn as pooled, skip }
    network(C = 4) from image[3, 6, 6] to class[3] =
        image -> conv(3, out: C) -> repeat 2 { u } -> global_pool(mean) -> linear(3)
"""
SEQUENCE = """
    cell r(H) from x, h[H] = (concat(x, h) -> linear(H)) -> choose { tanh, relu }
    network(H = 3) from x[T, 2] to y[T, 5] = x -> r(H) over T -> dropout(0.2) -> linear(5)
"""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes each pass of the optimised kind."""
    made: list[str] = []
    original = Optimised.__call__

    def noted(self: Optimised, *given: Any) -> Any:
        made.append("optimised")
        return original(self, *given)

    monkeypatch.setattr(Optimised, "__call__", noted)
    return made


def fast(text: str = TEXT) -> tuple[Supernet, Tensor]:
    net = compiler.build(space(text), passes="fast")
    assert isinstance(net, Supernet)
    return net, images(net.program, 3)


# -- the plain module runs


def test_in_training_as_it_was_generated_it_stands_in(calls: list[str]) -> None:
    net, x = fast()
    net(x)
    assert calls == ["optimised"]


def test_not_without_a_flat_program(calls: list[str]) -> None:
    for passes in ("none", "simple"):
        net = compiler.build(space(TEXT), passes=passes)
        net(images(net.program, 3))
    assert calls == []


@pytest.mark.parametrize("mode", [lambda net: net.eval(), lambda net: net.model.eval()])
def test_not_in_evaluation(mode: Callable[[Supernet], Any], calls: list[str]) -> None:
    net, x = fast()
    plain = compiler.build(space(TEXT), passes="none")
    plain.load_state_dict(net.state_dict())
    mode(net)
    torch.testing.assert_close(net(x), plain.eval()(x))
    assert calls == []
    net.train()(x)
    assert calls == ["optimised"]


def test_not_with_a_norm_in_evaluation(calls: list[str]) -> None:
    net, x = fast()
    plain = compiler.build(space(TEXT), passes="none")
    plain.load_state_dict(net.state_dict())
    for each in (net, plain):
        norms = [m for m in each.modules() if isinstance(m, nn.BatchNorm2d)]
        norms[-1].running_mean.fill_(3)
        norms[-1].eval()
    torch.testing.assert_close(net(x), plain(x))
    assert calls == []


def test_not_with_a_hook_on_a_module_inside(calls: list[str]) -> None:
    net, x = fast()
    inner = [module for module in net.model.modules() if not list(module.children())]
    for module in [net.model, *inner]:
        for register in (module.register_forward_hook, module.register_forward_pre_hook):
            seen: list[str] = []
            handle = register(lambda *given, seen=seen: seen.append("called"))
            net(x)
            assert seen or isinstance(module, nn.Dropout | nn.Identity) or module is net.model
            handle.remove()
    assert calls == []
    net(x)
    assert calls == ["optimised"]


def test_not_while_torch_compiles(monkeypatch: pytest.MonkeyPatch, calls: list[str]) -> None:
    net, x = fast()
    with monkeypatch.context() as patch:
        patch.setattr(torch.compiler, "is_compiling", lambda: True)
        net(x)
    assert calls == []


@pytest.mark.slow
def test_torch_compile(calls: list[str]) -> None:
    net, x = fast()
    plain = compiler.build(space(TEXT), passes="none")
    plain.load_state_dict(net.state_dict())
    torch.testing.assert_close(torch.compile(net, backend="eager")(x), plain(x))
    assert calls == []


# -- hooks on the recurrence and the readout


@pytest.mark.parametrize("path", [RNN, *(p for p in PROGRAMS if p.stem in ("lstm", "words"))],
                         ids=lambda path: path.stem)  # fmt: skip
def test_penalties_are_those_of_the_plain_module(path: Any, pair: Any, calls: list[str]) -> None:
    two = pair(path, **({"V": 11, "H": 4} if path == RNN else {}))
    found = []
    for net in (two.plain, two.fast):
        penalties = Penalties(net.model, slowness=0.3, activation=0.2)
        torch.manual_seed(1)
        logits, _ = net(two.x)
        targets = torch.arange(logits[..., 0].numel()).view(logits.shape[:2]) % logits.shape[-1]
        loss, penalty = cross_entropy(logits, targets), penalties.read()
        parameters = list(net.parameters())
        alone = (
            torch.autograd.grad(penalty, parameters, retain_graph=True, allow_unused=True)
            if (net is two.plain)
            else None
        )
        both = torch.autograd.grad(loss + penalty, parameters, allow_unused=True)
        found.append((loss, penalty, both))
        assert alone is None or any(g is not None and g.abs().max() > 0 for g in alone)
    torch.testing.assert_close(found[1], found[0], rtol=1e-8, atol=1e-9)
    assert calls == ["optimised"]


def test_hooks_are_given_values_that_carry_gradients(calls: list[str]) -> None:
    """A loss on them alone has the gradients that it has by the plain module."""
    seen: dict[str, Tensor] = {}

    def keep_output(module: nn.Module, inputs: Any, result: Any) -> None:
        seen["recurrence"] = result[0] if isinstance(result, tuple) else result

    def keep_input(module: nn.Module, inputs: Any, result: Any) -> None:
        seen["readout"] = inputs[0]

    net, x = fast(SEQUENCE)
    plain = compiler.build(space(SEQUENCE), passes="none")
    plain.load_state_dict(net.state_dict())
    results = []
    for each in (plain, net):
        for name, hook in (("recurrence", keep_output), ("readout", keep_input)):
            each.model.get_submodule(getattr(each.model, name)).register_forward_hook(hook)
        for name in ("recurrence", "readout"):
            torch.manual_seed(3)
            each(x)
            weights = [p for n, p in each.named_parameters() if "model.linear" not in n]
            results.append((seen[name], torch.autograd.grad(seen[name].pow(2).sum(), weights)))
    torch.testing.assert_close(results[2:], results[:2], rtol=1e-9, atol=1e-9)
    assert calls == ["optimised"] * 2


# -- a module like any other


def test_copies_have_numbers_of_their_own(calls: list[str]) -> None:
    net, x = fast()
    before = net(x)
    copied = copy.deepcopy(net)
    torch.testing.assert_close(copied(x), before)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.mul_(2)
    plain = compiler.build(space(TEXT), passes="none")
    plain.load_state_dict(copied.state_dict())
    torch.testing.assert_close(copied(x), plain(x), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(net(x), before, rtol=1e-9, atol=1e-9)
    copied(x).sum().backward()
    assert all(p.grad is None for p in net.parameters())
    assert all(p.grad is not None for p in copied.parameters())
    same_statistics(copied, plain)
    assert len(calls) == 6


def same_statistics(net: Supernet, plain: Supernet) -> None:
    """After one pass more of `net`, with equal statistics before."""
    plain.load_state_dict(net.state_dict())
    x = images(net.program, 4)
    net(x), plain(x)
    torch.testing.assert_close(
        dict(net.named_buffers()), dict(plain.named_buffers()), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("text", [TEXT, SEQUENCE], ids=["image", "sequence"])
def test_types_of_numbers(text: str, calls: list[str]) -> None:
    net, x = fast(text)
    plain = compiler.build(space(text), passes="none")
    plain.load_state_dict(net.state_dict())
    for dtype in (torch.float32, torch.float64):
        found = []
        for each in (plain.to(dtype), net.to(dtype)):
            torch.manual_seed(0)
            result = each(x.to(dtype))
            output = result[0] if isinstance(result, tuple) else result
            assert output.dtype == dtype
            found.append((output, torch.autograd.grad(output.sum(), list(each.parameters()))))
        torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5)
    assert len(calls) == 2


@pytest.mark.parametrize("assign", [False, True])
def test_loading_weights(assign: bool, calls: list[str]) -> None:
    net, x = fast()
    other, _ = fast()
    plain = compiler.build(space(TEXT), passes="none")
    state = {name: value.clone() for name, value in other.state_dict().items()}
    plain.load_state_dict(state)
    net.load_state_dict({name: value.clone() for name, value in state.items()}, assign=assign)
    output, expected = net(x), plain(x)
    torch.testing.assert_close(output, expected, rtol=1e-9, atol=1e-9)
    found = torch.autograd.grad(output.sum(), list(net.parameters()))
    own = torch.autograd.grad(expected.sum(), list(plain.parameters()))
    torch.testing.assert_close(found, own, rtol=1e-9, atol=1e-9)
    same_statistics(net, plain)
    assert len(calls) == 2


def test_other_weights_for_one_call(calls: list[str]) -> None:
    """As the virtual step of the second order does it; statistics move in the module's own."""
    net, x = fast()
    plain = compiler.build(space(TEXT), passes="none")
    plain.load_state_dict(net.state_dict())
    results = []
    for each in (plain, net):
        torch.manual_seed(5)
        others = {
            name: torch.randn_like(value).requires_grad_()
            for name, value in each.named_parameters()
        }
        output = torch.func.functional_call(each, others, (x,))
        by = [*others.values()]
        results.append((output, torch.autograd.grad(output.sum(), by), dict(each.named_buffers())))
    torch.testing.assert_close(results[1], results[0], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(net(x), plain(x), rtol=1e-9, atol=1e-9)
    assert len(calls) == 2


def test_a_tied_matrix_is_one_parameter(pair: Any) -> None:
    """Its gradient is the sum of both uses, by whichever name it is replaced."""
    two = pair(next(p for p in PROGRAMS if p.stem == "words"))
    results = []
    for net in (two.plain, two.fast):
        name = next(n for n, _ in net.named_parameters() if "table" in n)
        torch.manual_seed(1)
        table = torch.randn_like(net.get_parameter(name)).requires_grad_()
        output, _ = torch.func.functional_call(net, {name: table}, (two.x,))
        results.append((output, torch.autograd.grad(output.pow(2).sum(), table)))
    torch.testing.assert_close(results[1], results[0], rtol=1e-8, atol=1e-9)


def test_states_start_as_zeros_and_go_on(calls: list[str]) -> None:
    """One, or several as a tuple; given back as the plain module does."""
    for stem in ("lstm", "words"):
        net = compiler.build(next(p for p in PROGRAMS if p.stem == stem), passes="fast")
        x = images(net.program, 3)
        first, state = seeded(net, x)
        again, _ = seeded(net, x, net.init_hidden(3))
        torch.testing.assert_close(again, first)
        further, after = seeded(net, x, state)
        assert not torch.allclose(further, first)
        assert type(after) is type(state) is type(net.init_hidden(3))
    assert len(calls) == 6


def seeded(net: Supernet, x: Tensor, state: Any = None) -> Any:
    torch.manual_seed(1)
    return net(x, state)


def test_the_state_dict_knows_nothing_of_it() -> None:
    net, _ = fast()
    assert list(net.state_dict()) == list(compiler.build(space(TEXT), passes="none").state_dict())
    assert compiled(TEXT, passes="fast").flat is not None
    assert compiled(TEXT, passes="simple").flat is None
