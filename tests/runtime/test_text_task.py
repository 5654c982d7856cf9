"""A search's way through text against a loop by hand, in float64: streams, states, rates, losses.

The loop shares nothing with the runtime but the lengths of the windows, which chance decides.
"""

import pytest
import torch
import torch.nn.functional as F
from reference.bilevel import ReferenceBilevel
from reference.rnn import Norm, ReferenceRNN, search_network
from support import RNN
from torch import nn

import compiler
from dsl.settings import Settings
from runtime.bilevel import BilevelStep
from runtime.errors import UserError
from runtime.language_model import Penalties
from runtime.streams import stretches
from runtime.text import Text
from runtime.text_task import TextTask

WORDS, WIDTH, NODES = 11, 4, 3
SETTINGS = {
    "batch": 4, "evaluation_batch": 3, "bptt": 4, "bptt_halved": 0.4, "lr": 1.5, "momentum": 0.0,
    "decay": 5e-3, "clip": 0.25, "alpha_lr": 3e-3, "alpha_betas": (0.9, 0.999), "alpha_decay": 1e-3,
}  # fmt: skip


def make_text(train=75, valid=50):
    draw = torch.Generator().manual_seed(1)
    parts = [torch.randint(WORDS, (size,), generator=draw) for size in (train, valid, 20)]
    return Text("made", *parts, tuple(f"w{i}" for i in range(WORDS)))


def compiled(folder, passes):
    """`rnn_cell.darts` with three nodes and without dropout."""
    path = folder / "rnn.darts"
    path.write_text(RNN.read_text(encoding="utf-8").replace("s[8]", f"s[{NODES}]"))
    drops = ("embedded_drop", "input_drop", "hidden_drop", "output_drop")
    net = compiler.build(path, passes=passes, V=WORDS, H=WIDTH, **dict.fromkeys(drops, 0.0))
    for matrix in net.weight_parameters():
        nn.init.normal_(matrix, std=0.5)
    return net


def make(settings, order=1, hessian="finite_difference", dropouts=None, text=None, net=None):
    torch.manual_seed(0)
    net = (net or ReferenceRNN(WORDS, WIDTH, NODES, dropouts)).double()
    s = settings
    sgd = torch.optim.SGD(
        net.weight_parameters(), lr=s.lr, momentum=s.momentum, weight_decay=s.decay
    )
    adam = torch.optim.Adam(
        net.arch_parameters(), s.alpha_lr, s.alpha_betas, weight_decay=s.alpha_decay
    )
    task = TextTask(text or make_text(), s, seed=3, device=torch.device("cpu"))
    penalties = Penalties(net.model, s.slowness, s.activation)
    step = BilevelStep(
        net, sgd, adam, order=order, clip=s.clip, clip_virtual=s.clip_virtual, hessian=hessian,
        loss=task.loss, penalty=penalties.read,
    )  # fmt: skip
    return net, task, step


def reference_name(name):
    """The oracle's name of a parameter; with a stroke where the network has it transposed."""
    *_, part, last = name.split(".")
    if part in ("table", "embedding"):
        return "embedding"
    if part == "first":
        return "W0'"
    return f"W{int(part[1:-2]) + 1}'" if part.endswith("_W") else last


class LoopByHand:
    """The whole search on text, as the paper's code goes about it."""

    def __init__(self, net, settings, order, hessian):
        self.settings, self.order, self.hessian = settings, order, hessian
        names = {p: name for name, p in net.named_parameters()}
        (alphas,) = (p.detach() for p in net.arch_parameters())
        self.names = [reference_name(names[p]) for p in net.weight_parameters()]
        weights = [p.detach() for p in net.weight_parameters()]
        s = settings
        self.bilevel = ReferenceBilevel(
            weights, [alphas], self.loss, self.valid_loss, lr=s.lr, momentum=s.momentum,
            decay=s.decay, clip=s.clip, alpha_lr=s.alpha_lr, betas=s.alpha_betas,
            alpha_decay=s.alpha_decay, weight_loss=self.weight_loss, clip_virtual=s.clip_virtual,
        )  # fmt: skip

    def network(self, weights, alphas, batch):
        words, _, state = batch
        pairs = zip(self.names, weights, strict=True)
        named = {name.rstrip("'"): w.T if name[-1] == "'" else w for name, w in pairs}
        norm = Norm(torch.zeros(WIDTH), torch.ones(WIDTH), training=True)
        return search_network(words, state, named, alphas[0], norm)

    def loss(self, weights, alphas, batch):
        logits, *_ = self.network(weights, alphas, batch)
        return F.cross_entropy(logits.reshape(-1, WORDS), batch[1].reshape(-1))

    def valid_loss(self, weights, alphas, batch):
        self.valid_state = self.network(weights, alphas, batch)[1].detach()
        return self.loss(weights, alphas, batch)

    def weight_loss(self, weights, alphas, batch):
        _, state, outputs, dropped = self.network(weights, alphas, batch)
        self.train_state = state.detach()
        loss = self.loss(weights, alphas, batch)
        self.reported = loss.item()
        slow = ((outputs[1:] - outputs[:-1]) ** 2).mean()
        s = self.settings
        return loss + s.slowness * slow + s.activation * (dropped**2).mean()

    def epoch(self, text, lengths):
        """(training loss, validation loss) of every step; `lengths` are the steps' windows."""
        s = self.settings
        train, valid = (self.streams(part) for part in (text.train, text.valid))
        self.train_state = self.valid_state = torch.zeros(s.batch, WIDTH, dtype=torch.float64)
        losses, row = [], 0
        for length in lengths:
            self.bilevel.lr = s.lr * length / s.bptt
            there = row % (len(valid) - 1)
            _, valid_loss = self.bilevel.step(
                (*self.window(train, row, length), self.train_state),
                (*self.window(valid, there, s.bptt), self.valid_state),
                self.order, self.hessian, 0.01,
            )  # fmt: skip
            losses.append((self.reported, valid_loss))
            row += length
        assert row >= len(train) - 2
        return losses

    def streams(self, tokens):
        length = len(tokens) // self.settings.batch
        pieces = [tokens[i * length : (i + 1) * length] for i in range(self.settings.batch)]
        return torch.stack(pieces, 1)

    @staticmethod
    def window(stream, row, length):
        last = min(row + length, len(stream) - 1)
        return stream[row:last], stream[row + 1 : last + 1]


@pytest.mark.parametrize(
    "order, hessian, changes",
    [
        (1, "finite_difference", {}),
        (1, "finite_difference", {"slowness": 0.3, "activation": 0.2, "momentum": 0.5}),
        (2, "finite_difference", {}),
        (2, "finite_difference", {"clip_virtual": True, "slowness": 0.3, "activation": 0.2}),
        (2, "exact", {"momentum": 0.5}),
        (2, "exact", {"clip_virtual": True, "slowness": 0.3}),
    ],
)
@pytest.mark.parametrize("network", ["reference", "compiled"])
def test_two_epochs_agree_with_the_loop_by_hand(network, order, hessian, changes, tmp_path):
    settings = Settings(**SETTINGS | changes)
    text = make_text()
    passes = "simple" if hessian == "exact" else "fast"
    ours = compiled(tmp_path, passes) if network == "compiled" else None
    net, task, step = make(settings, order, hessian, text=text, net=ours)
    by_hand = LoopByHand(net, settings, order, hessian)
    lengths = set()
    for epoch in (1, 2):
        drawn = [length for _, length in stretches(18, settings, 3, epoch)]  # 75 words in 4 streams
        lengths |= set(drawn)
        steps = list(task.epoch(epoch, settings.lr, step))
        found = [(losses.train.item(), losses.valid.item()) for losses in steps]
        expected = by_hand.epoch(text, drawn)
        assert len(found) == len(expected) >= 5
        pairs = zip(found, expected, strict=True)
        assert all(one == pytest.approx(other, abs=1e-8, rel=0) for one, other in pairs)
        torch.testing.assert_close(steps[-1].training.state, by_hand.train_state, rtol=0, atol=1e-8)
        torch.testing.assert_close(
            steps[-1].validation.state, by_hand.valid_state, rtol=0, atol=1e-8
        )
    assert lengths == {2, 4}
    for found, value in zip(net.weight_parameters(), by_hand.bilevel.w, strict=True):
        torch.testing.assert_close(found.detach(), value, rtol=0, atol=1e-8)
    (alphas,) = net.arch_parameters()
    torch.testing.assert_close(alphas.detach(), by_hand.bilevel.a[0], rtol=0, atol=1e-8)


def test_the_virtual_step_is_clipped_only_when_asked():
    def alphas(**changes):
        net, task, step = make(Settings(**SETTINGS | changes), order=2)
        list(task.epoch(1, SETTINGS["lr"], step))
        return net.alphas.detach()

    assert not torch.allclose(alphas(clip_virtual=True), alphas(clip_virtual=False), atol=1e-6)


def test_an_epoch_is_a_function_of_its_number():
    settings = Settings(**SETTINGS)
    rates = {}
    for epochs in ([1, 2, 3], [3]):
        _, task, step = make(settings)
        for epoch in epochs:
            rates[len(epochs), epoch] = [
                step.weight_optimiser.param_groups[0]["lr"] for _ in task.epoch(epoch, 1.0, step)
            ]
    assert rates[3, 3] == rates[1, 3] != rates[3, 1]
    assert set(rates[3, 1]) <= {0.5, 1.0}


def test_states_are_constants_and_carry_on():
    _, task, step = make(Settings(**SETTINGS))
    passages = []
    inner = step.objective.loss
    step.objective.loss = lambda forward, batch: passages.append(batch) or inner(forward, batch)
    outcomes = list(task.epoch(1, 1.0, step))
    trained = passages[1::2]  # each step computes the validation passage first
    assert trained[0].state is None and passages[0].state is None
    assert torch.equal(trained[1].state, outcomes[0].training.state)
    assert torch.equal(passages[2].state, outcomes[0].validation.state)
    assert not any(p.state.requires_grad for p in passages[2:])
    assert passages[2].state.abs().sum() > 0


def test_what_is_measured_is_the_whole_validation_text_without_dropout():
    text = make_text()
    settings = Settings(**SETTINGS)
    net, task, step = make(settings, dropouts={"output": 0.5, "x": 0.5}, text=text)
    list(task.epoch(1, 1.0, step))
    measured = task.measure(net)
    assert net.training and task.measure(net) == measured
    streams = text.valid[:48].view(3, 16).t()
    with torch.no_grad():
        logits, _ = net.eval()(streams[:-1])
    expected = F.cross_entropy(logits.flatten(0, 1), streams[1:].flatten())
    assert measured["evaluation_loss"] == pytest.approx(expected.item(), abs=1e-9)
    assert measured["evaluation_perplexity"] == pytest.approx(expected.exp().item(), abs=1e-9)


@pytest.mark.parametrize(
    "sizes, says",
    [
        ({"train": 7}, "7 words is too short for 4 streams"),
        ({"train": 11}, "11 words is too short for one step in 4 streams"),
        ({"valid": 7}, "7 words is too short for 4 streams"),
    ],
)
def test_a_text_shorter_than_its_streams_is_refused(sizes, says):
    with pytest.raises(UserError, match=says):
        TextTask(make_text(**sizes), Settings(**SETTINGS), 0, torch.device("cpu"))
