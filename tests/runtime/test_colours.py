"""Changes of colour: how they are drawn, and each against torchvision's of one image."""

import colorsys

import pytest
import torch
from torchvision.transforms.v2 import functional as one

from runtime import colours
from runtime.colours import HUE, PARTS, ColourChanges, turned


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def images(batch=64, height=8, width=8, channels=3):
    shape = (batch, channels, height, width)
    return torch.randint(0, 256, shape, generator=draw(), dtype=torch.uint8)


def test_numbers_vary_evenly_within_their_bounds():
    numbers = ColourChanges.draw(2000, 0.4, 0.1, draw()).numbers
    for column, (centre, reach) in enumerate([(1, 0.4)] * 3 + [(0, 0.1)]):
        shares = ((numbers[:, column] - centre) / reach / 2 + 0.5).sort().values
        assert shares[0] >= 0 and shares[-1] <= 1
        assert len(shares.unique()) == 2000  # each image has its own
        assert (shares - (torch.arange(2000) + 0.5) / 2000).abs().max() < 0.04


def test_the_order_is_drawn_for_each_image():
    orders = [tuple(order) for order in ColourChanges.draw(2400, 0.4, 0.1, draw()).orders.tolist()]
    counts = {order: orders.count(order) for order in orders}
    assert len(counts) == 24 and all(60 < count < 145 for count in counts.values())


def changes(part, numbers, others=(1.0, 1.0, 1.0, 0.0)):
    """One part by the numbers, the others by theirs, in orders of all kinds."""
    orders = torch.rand(len(numbers), 4, generator=draw(1)).argsort(1)
    filled = torch.tensor(others, dtype=torch.float64).repeat(len(numbers), 1)
    filled[:, part] = torch.tensor(numbers, dtype=torch.float64)
    return ColourChanges(orders, filled, part != HUE, part == HUE)


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("channels", [1, 3])
def test_each_change_is_that_of_torchvision(part, channels):
    reach = 0.5 if part == HUE else 1.0
    centre = 0 if part == HUE else 1
    numbers = [centre + reach * (i - 32) / 32 for i in range(65)]
    pixels = images(65, channels=channels)
    adjust = getattr(one, f"adjust_{PARTS[part]}")
    expected = [adjust(image, number) for image, number in zip(pixels, numbers, strict=True)]
    assert torch.equal(changes(part, numbers)(pixels), torch.stack(expected))


def test_brightness_is_a_product_cut_off():
    pixels, factors = images(), [i / 16 for i in range(64)]
    expected = pixels.double() * torch.tensor(factors)[:, None, None, None].double()
    found = changes(0, factors)(pixels)
    assert torch.equal(found.double(), expected.clamp(max=255).floor())
    assert (found == 255).any()


def test_hues_turn_as_those_of_the_standard_library():
    pixels, turns = images(9), [(i - 4) / 9 for i in range(9)]
    found = turned(pixels.float(), torch.tensor(turns))
    for image, turn, changed in zip(pixels, turns, found, strict=True):
        for pixel, other in zip(image.flatten(1).T, changed.flatten(1).T, strict=True):
            hue, saturation, value = colorsys.rgb_to_hsv(*(pixel / 255).tolist())
            rgb = colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)
            assert (other - 255 * torch.tensor(rgb)).abs().max() <= 1


@pytest.mark.parametrize(("jitter", "hue"), [(0.4, 0.1), (0.4, 0.0), (0.0, 0.1)])
def test_a_batch_in_pieces_is_the_same_batch(monkeypatch, jitter, hue):
    drawn = ColourChanges.draw(20, jitter, hue, draw())
    whole = drawn(images(20))
    assert whole.dtype == torch.uint8 and not torch.equal(whole, images(20))
    for pixels in (1, 64, 200):
        monkeypatch.setattr(colours, "PIECE", pixels)
        assert torch.equal(drawn(images(20)), whole)


def test_what_does_not_vary_is_left_alone():
    drawn = ColourChanges.draw(64, 0.0, 0.0, draw())
    assert torch.equal(drawn(images()), images())
    still = ColourChanges(drawn.orders, drawn.numbers, True, False)
    assert torch.equal(still(images()), images())
