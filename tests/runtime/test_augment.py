"""Crops, flips, cutout and normalisation, against the slow and obvious way of doing each."""

import pytest
import torch
import torch.nn.functional as F

from runtime.augment import Augmentation, Normalisation

PLAIN = Normalisation(torch.zeros(3), torch.ones(3))


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def images(batch=64, height=6, width=5):
    return torch.randint(1, 256, (batch, 3, height, width), generator=draw(), dtype=torch.uint8)


def test_normalisation_is_by_the_channels_own_statistics():
    pixels = images()
    floats = pixels.double() / 255
    normalise = Normalisation.of(pixels)
    torch.testing.assert_close(normalise.mean.double(), floats.mean((0, 2, 3)), atol=1e-7, rtol=0)
    deviation = floats.std((0, 2, 3), correction=0)
    torch.testing.assert_close(normalise.deviation.double(), deviation, atol=1e-7, rtol=0)
    centred = floats - floats.mean((0, 2, 3), True)
    expected = centred / floats.std((0, 2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(normalise(pixels).double(), expected, atol=1e-5, rtol=0)


def test_a_channel_that_never_varies_gives_no_infinity():
    pixels = images()
    pixels[:, 1] = 7
    assert Normalisation.of(pixels)(pixels).isfinite().all()


@pytest.mark.parametrize("crop, flip", [(2, False), (0, True), (2, True)])
def test_each_image_is_a_window_of_its_padded_self(crop, flip):
    pixels = images(batch=200)
    height, width = pixels.shape[2:]
    augmented = Augmentation(PLAIN, crop, flip)(pixels, draw())
    padded = F.pad(pixels.float() / 255, [crop] * 4)
    seen = set()
    for i, image in enumerate(augmented):
        found = [
            (top, left, flipped)
            for top in range(2 * crop + 1)
            for left in range(2 * crop + 1)
            for flipped in ([False, True] if flip else [False])
            for window in [padded[i, :, top : top + height, left : left + width]]
            if torch.allclose(image, window.flip(2) if flipped else window)
        ]
        assert len(found) == 1
        seen.update(found)
    assert len(seen) > 0.8 * (2 * crop + 1) ** 2 * (2 if flip else 1)


def test_the_padding_is_black_before_the_normalisation():
    normalise = Normalisation(torch.full((3,), 0.5), torch.full((3,), 0.25))
    corners = Augmentation(normalise, crop=3)(images(), draw()).amin((1, 2, 3))
    assert corners.min() == -2  # (0 − 0.5) / 0.25, where the mean would be 0


@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_cutout_blanks_one_square_cut_off_at_the_border(side):
    height, width = 6, 5
    augmented = Augmentation(PLAIN, cutout=side)(images(batch=2000), draw())
    centres = torch.zeros(height, width)
    for image in augmented:
        blank = (image == 0).all(0)
        assert torch.equal(blank, (image == 0).any(0))
        rows, columns = blank.any(1).nonzero()[:, 0], blank.any(0).nonzero()[:, 0]
        assert blank.sum() == len(rows) * len(columns)
        assert 1 <= len(rows) <= side and 1 <= len(columns) <= side
        assert len(rows) == side or rows[0] == 0 or rows[-1] == height - 1
        # The centre: where the far border does not cut, the last row is centre + side − 1 − side//2
        bottom = rows[-1] - (side - 1 - side // 2)
        right = columns[-1] - (side - 1 - side // 2)
        if rows[-1] < height - 1 and columns[-1] < width - 1:
            centres[bottom, right] += 1
    inner = centres[centres > 0] / 2000
    torch.testing.assert_close(inner, torch.full_like(inner, 1 / 30), atol=0.02, rtol=0)


def test_the_generator_alone_decides():
    augment = Augmentation(PLAIN, crop=2, flip=True, cutout=2)
    torch.manual_seed(1)
    one = augment(images(), draw(5))
    torch.manual_seed(2)
    assert torch.equal(one, augment(images(), draw(5)))
    assert not torch.equal(one, augment(images(), draw(6)))


def test_nothing_asked_for_is_nothing_done():
    pixels = images()
    assert torch.equal(Augmentation(PLAIN)(pixels, draw()), PLAIN(pixels))
