"""`BilevelStep` against the loop written out by hand, in float64, and its side effects."""

import pytest
import torch
import torch.nn.functional as F
from reference.bilevel import ReferenceBilevel
from support import space
from torch import nn
from torch.func import functional_call

import compiler
from runtime.bilevel import BilevelStep, running_statistics_kept
from runtime.objective import Outcome

SGD = {"lr": 0.05, "momentum": 0.9, "weight_decay": 3e-3}
ADAM = {"lr": 3e-3, "betas": (0.5, 0.999), "weight_decay": 1e-2}


class Mixed(nn.Module):
    """A small supernet: two mixed layers, batch norm, and a weight that nothing uses."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.alphas = nn.ParameterDict({k: nn.Parameter(torch.randn(3)) for k in ("one", "two")})
        self.model = nn.ModuleDict(
            {
                "stem": nn.Conv2d(2, 4, 3, bias=False),
                "conv": nn.Conv2d(4, 4, 3, padding=1, bias=False),
                "norm": nn.BatchNorm2d(4),
                "unused": nn.Linear(2, 2),
                "linear": nn.Linear(4, 3),
            }
        )
        self.dropout = dropout

    def arch_parameters(self):
        return iter(self.alphas.values())

    def weight_parameters(self):
        return iter(self.model.parameters())

    def forward(self, images):
        x = self.model["stem"](images)
        for alphas in self.alphas.values():
            skip, conv, tanh = alphas.softmax(0)
            x = skip * x + conv * self.model["norm"](self.model["conv"](x)) + tanh * torch.tanh(x)
        return self.model["linear"](F.dropout(x.mean((2, 3)), self.dropout, self.training))


def make(order=1, hessian="finite_difference", dtype=torch.float64, dropout=0.0, **options):
    torch.manual_seed(0)
    net = Mixed(dropout).to(dtype)
    sgd = torch.optim.SGD(net.weight_parameters(), **SGD)
    adam = torch.optim.Adam(net.arch_parameters(), **ADAM)
    return net, BilevelStep(net, sgd, adam, order=order, hessian=hessian, **options)


def batches(count, dtype=torch.float64):
    draw = torch.Generator().manual_seed(1)
    for _ in range(2 * count):
        images = torch.randn(6, 2, 6, 6, generator=draw, dtype=dtype)
        yield images, torch.randint(3, (6,), generator=draw)


@pytest.mark.parametrize(
    "order, hessian, epsilon, clip, clip_virtual",
    [
        (1, "finite_difference", 0.01, 5.0, False),
        (1, "finite_difference", 0.01, 0.05, False),  # clips at every step
        (2, "finite_difference", 0.01, 5.0, False),
        (2, "finite_difference", 1e-6, 5.0, False),
        (2, "finite_difference", 0.01, 0.05, True),
        (2, "exact", 0.01, 0.05, False),
        (2, "exact", 0.01, 0.05, True),
    ],
)
def test_steps_agree_with_the_loop_by_hand(order, hessian, epsilon, clip, clip_virtual):
    net, step = make(order, hessian, clip=clip, epsilon=epsilon, clip_virtual=clip_virtual)
    names = [n for n, _ in net.named_parameters() if n.startswith("model")]
    alpha_names = [n for n, _ in net.named_parameters() if n.startswith("alphas")]
    parameters = dict(net.named_parameters())
    twin = Mixed().double()

    def loss(weights, alphas, batch):
        named = dict(zip(names + alpha_names, [*weights, *alphas], strict=True))
        return F.cross_entropy(functional_call(twin, named, (batch[0],)), batch[1])

    # The reference decays every weight; torch's SGD leaves alone what has no gradient.
    used = [n for n in names if "unused" not in n]
    unused = {n: parameters[n].detach().clone() for n in names if "unused" in n}
    names = used
    reference = ReferenceBilevel(
        [parameters[n].detach() for n in used],
        [parameters[n].detach() for n in alpha_names],
        loss, loss, lr=SGD["lr"], momentum=SGD["momentum"], decay=SGD["weight_decay"], clip=clip,
        alpha_lr=ADAM["lr"], betas=ADAM["betas"], alpha_decay=ADAM["weight_decay"],
        clip_virtual=clip_virtual,
    )  # fmt: skip
    stream = batches(5)
    for train, valid in zip(stream, stream, strict=True):
        losses = step(train, valid)
        expected = reference.step(train, valid, order, hessian, epsilon)
        found = losses.train.item(), losses.valid.item()
        assert found == pytest.approx(expected, abs=1e-9)
    for name, value in zip(used + alpha_names, [*reference.w, *reference.a], strict=True):
        torch.testing.assert_close(parameters[name].detach(), value, rtol=0, atol=1e-8)
    for name, value in unused.items():
        assert torch.equal(parameters[name], value)


def alpha_gradients(order, hessian="finite_difference", epsilon=0.01):
    net, step = make(order, hessian, epsilon=epsilon)
    stream = batches(2)
    step(next(stream), next(stream))  # so that there are momentum buffers
    step(next(stream), next(stream))
    return torch.cat([alpha.grad for alpha in net.arch_parameters()])


def test_a_tiny_finite_difference_is_the_exact_product():
    exact = alpha_gradients(2, "exact")
    finite = alpha_gradients(2, "finite_difference", epsilon=1e-6)
    torch.testing.assert_close(finite, exact, rtol=1e-6, atol=1e-9)
    first = alpha_gradients(1)
    assert (first - exact).norm() > 1e-4 * exact.norm()  # the second order does say something


def test_the_exact_product_goes_through_attention():
    """The kernels that compute it fastest cannot be differentiated twice."""
    attending = """
        op block(heads) from x[_, h, _] =
            x + (x -> layer_norm -> tokens -> position -> attention(heads) -> as_image(h))
        cell u from x = x -> choose { block(1), block(2), group_norm(2), softmax }
        network from image[2, 6, 6] to class[3] =
            image -> u -> global_pool(mean) -> layer_norm -> linear(3)
    """
    found = []
    for hessian, epsilon in (("exact", 0.01), ("finite_difference", 1e-6)):
        torch.manual_seed(0)
        net = compiler.build(space(attending), passes="simple").double()
        sgd = torch.optim.SGD(net.weight_parameters(), **SGD)
        adam = torch.optim.Adam(net.arch_parameters(), **ADAM)
        step = BilevelStep(net, sgd, adam, order=2, hessian=hessian, epsilon=epsilon)
        step(*batches(1))
        found.append(torch.cat([alpha.grad for alpha in net.arch_parameters()]))
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("hessian", ["finite_difference", "exact"])
def test_only_the_weight_step_moves_weights_and_running_statistics(order, hessian):
    net, step = make(order, hessian, dtype=torch.float32)
    train, valid = batches(1, torch.float32)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    step._architecture_step(train, valid)
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]) != name.startswith("alphas"), name
    assert all(w.grad is None for w in net.weight_parameters())

    plain = Mixed()
    plain.load_state_dict(net.state_dict())
    plain(train[0])
    step._weight_step(train)
    for name, value in net.named_buffers():
        assert torch.equal(value, dict(plain.named_buffers())[name]), name
    assert net.model["norm"].num_batches_tracked == 2  # once for each of the two mixed layers


def test_statistics_come_back_after_an_exception():
    net = Mixed()
    before = {k: v.clone() for k, v in net.named_buffers()}
    with pytest.raises(KeyboardInterrupt), running_statistics_kept(net):
        net(torch.randn(2, 2, 6, 6))
        raise KeyboardInterrupt
    assert all(torch.equal(v, before[k]) for k, v in net.named_buffers())


def test_both_sides_of_the_difference_see_the_same_dropout():
    net, step = make(2, epsilon=1e-6, dropout=0.5)
    train, valid = batches(1)
    torch.manual_seed(3)
    step._architecture_step(train, valid)
    # Two masks would differ by something of order 1, and be divided by about 1e-6.
    assert torch.cat([a.grad for a in net.arch_parameters()]).abs().max() < 10


def test_a_validation_loss_without_slope_gives_no_nan():
    def flat(forward, batch):
        return Outcome(forward(batch[0]).sum() * 0, len(batch[1]))

    net, step = make(2, loss=flat)
    step(*batches(1))
    assert all(a.isfinite().all() for a in net.arch_parameters())


def test_a_clip_of_zero_clips_no_virtual_step():
    def gradients(**options):
        net, step = make(2, **options)
        step._architecture_step(*batches(1))
        return torch.cat([alpha.grad for alpha in net.arch_parameters()])

    free = gradients(clip=0, clip_virtual=True)
    assert torch.equal(free, gradients(clip=5.0, clip_virtual=False))
    assert torch.equal(free, gradients(clip=1e9, clip_virtual=True))
    assert not torch.equal(free, gradients(clip=0.05, clip_virtual=True))


def test_a_penalty_is_minimised_by_the_weight_step_alone_and_not_reported():
    calls = []

    def penalty():
        calls.append(None)
        return 1e3 * net.model["linear"].bias.pow(2).sum()

    net, step = make(2, clip=0, penalty=penalty)
    plain, plain_step = make(2, clip=0)
    train, valid = batches(1)
    losses, plain_losses = step(train, valid), plain_step(train, valid)
    assert len(calls) == 1
    assert torch.equal(losses.train, plain_losses.train)
    for alpha, other in zip(net.arch_parameters(), plain.arch_parameters(), strict=True):
        assert torch.equal(alpha, other)
    moved = net.model["linear"].bias.grad - plain.model["linear"].bias.grad
    torch.manual_seed(0)
    torch.testing.assert_close(moved, 2e3 * Mixed().double().model["linear"].bias.detach())


class OnceOnly(torch.autograd.Function):
    """images · weight · alpha with a backward that records no graph, as a fused kernel's may."""

    @staticmethod
    def forward(ctx, images, weight, alpha):
        ctx.save_for_backward(images, weight, alpha)
        return images @ weight * alpha

    @staticmethod
    def backward(ctx, gradient):
        with torch.no_grad():
            images, weight, alpha = ctx.saved_tensors
            return None, images.T @ gradient * alpha, (gradient * (images @ weight)).sum()


class Fused(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3))
        self.alpha = nn.Parameter(torch.ones(()))

    def weight_parameters(self):
        yield self.weight

    def arch_parameters(self):
        yield self.alpha

    def forward(self, images):
        return OnceOnly.apply(images, self.weight, self.alpha)


def test_the_exact_product_refuses_a_network_differentiable_only_once():
    net = Fused()
    step = BilevelStep(
        net,
        torch.optim.SGD(net.weight_parameters(), **SGD),
        torch.optim.Adam(net.arch_parameters(), **ADAM),
        order=2,
        hessian="exact",
    )
    batch = torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1])
    with pytest.raises(RuntimeError, match="differentiated twice"):
        step(batch, batch)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="1 or 2"):
        make(order=3)
    with pytest.raises(ValueError, match="finite_difference"):
        make(hessian="guess")
    net = Mixed()
    sgd = torch.optim.SGD(net.weight_parameters(), lr=0.1, momentum=0.9, nesterov=True)
    with pytest.raises(ValueError, match="nesterov"):
        BilevelStep(net, sgd, torch.optim.Adam(net.arch_parameters()))
