"""Networks of several inputs and outputs: a search by a loss of one's own, and the command."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from support import space

import compiler
import runtime

TEXT = """
    cell look(C) from x = x -> choose { conv(3) -> bn as conv, none }
    network(C = 4) from image[2, 6, 6], measured[3] to class[2], box[2] {
        gate = measured -> linear(C) -> sigmoid
        y = (image -> conv(1, out: C)) * gate
        z = y -> look(C) -> relu -> global_pool(mean)
        return (z -> linear(2), concat(z, measured) -> linear(2))
    }
"""


def both(forward, batch):
    """The sum of a cross-entropy and of a squared error."""
    image, measured, labels, boxes = batch
    logits, found = forward(image, measured)
    correct = (logits.detach().argmax(1) == labels).sum()
    loss = F.cross_entropy(logits, labels) + F.mse_loss(found, boxes)
    return runtime.Outcome(loss, len(labels), correct)


def batch(seed, size=16):
    """The class hangs on an edge in the image, the box on the measured numbers."""
    draws = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (size,), generator=draws)
    image = 0.1 * torch.randn(size, 2, 6, 6, generator=draws)
    image[:, 0, :, 3:] += (2 * labels - 1)[:, None, None]
    image[:, 0, :, :3] -= (2 * labels - 1)[:, None, None]
    measured = torch.randn(size, 3, generator=draws)
    return image, measured, labels, measured[:, :2] - measured[:, 1:]


def stepped(order, passes):
    torch.manual_seed(0)
    net = compiler.build(space(TEXT), passes=passes)
    weights = torch.optim.SGD(net.weight_parameters(), lr=0.2, momentum=0.9)
    alphas = torch.optim.Adam(net.arch_parameters(), lr=0.1)
    return net, runtime.BilevelStep(net, weights, alphas, order=order, loss=both)


@pytest.mark.parametrize(
    ("order", "passes"), [(1, "fast"), (2, "fast"), (1, "simple"), (2, "none")]
)
def test_a_search_for_two_tasks_learns_both(order, passes):
    """Without the convolution no class can be told, so it is chosen."""
    net, step = stepped(order, passes)
    losses = [step(batch(2 * i), batch(2 * i + 1)) for i in range(60)]
    first, last = losses[0], losses[-1]
    assert last.valid < 0.2 * first.valid
    assert last.validation.correct == last.validation.size
    assert dict(net.genotype().cells["look"].decisions) == {"return": "conv"}


def test_alphas_are_stepped_by_the_sum_of_both_losses():
    net, step = stepped(1, "fast")
    torch.manual_seed(0)
    plain = compiler.build(space(TEXT), passes="none")
    (alphas,) = plain.arch_parameters()
    image, measured, labels, boxes = batch(1)
    logits, found = plain(image, measured)
    loss = F.cross_entropy(logits, labels) + F.mse_loss(found, boxes)
    (expected,) = torch.autograd.grad(loss, [alphas])
    losses = step(batch(0), batch(1))
    (stepped_by,) = net.arch_parameters()
    torch.testing.assert_close(losses.valid, loss.detach(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(stepped_by.grad, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("network", "many"),
    [
        ("image[3, 8, 8], x[3] to a[3] = (image -> flatten -> linear(3)) + x", "2 inputs,"),
        ("image[3, 8, 8] to a[3], b[3, 8, 8] = (image -> flatten -> linear(3), image)", "2 out"),
        ("word[T] below 5, x[4] to a[T, 4], b[4] = (word -> embedding(5, 4), x)", "2 inputs and 2"),
    ],
)
@pytest.mark.parametrize("job", ["--search", "--train", "--evaluate"])
def test_the_command_says_what_it_cannot_do(tmp_path, refused, network, many, job):
    """Before any data are looked for."""
    path, genotype = tmp_path / "space.darts", tmp_path / "genotype.yaml"
    path.write_text(f"language 1\nnetwork from {network}\n")
    genotype.write_text("cells: {}\n")
    weights = tmp_path / "weights.safetensors"
    save_file({}, weights)
    options = {
        "--search": [],
        "--train": ["--genotype", genotype],
        "--evaluate": ["--genotype", genotype, "--weights", weights],
    }
    said = refused(path, job, *options[job])
    assert f"this network has {many}" in said and "runtime.BilevelStep" in said
