"""Crops, flips, colours, cutout and normalisation, against the slow and obvious way of each."""

import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms.v2 import functional as colours

from runtime.augment import ADJUSTMENTS, Augmentation, Normalisation

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


@pytest.fixture
def adjusted(monkeypatch):
    """What is adjusted, image by image: the part and the number. Nothing is changed."""
    found = {}

    def recorder(part):
        def adjust(image, number):
            found.setdefault(image.data_ptr(), []).append((part, number))
            return image

        return adjust

    for part, _ in ADJUSTMENTS:
        monkeypatch.setattr(colours, f"adjust_{part}", recorder(part))
    return found


def numbers(adjusted, part):
    return [number for each in adjusted.values() for name, number in each if name == part]


def test_colours_vary_evenly_within_their_bounds(adjusted):
    Augmentation(PLAIN, jitter=0.4, hue=0.1)(images(batch=2000), draw())
    assert len(adjusted) == 2000 and all(len(each) == 4 for each in adjusted.values())
    for part, reach, centre in (*((p, 0.4, 1) for p, _ in ADJUSTMENTS[:3]), ("hue", 0.1, 0)):
        shares = sorted((n - centre) / reach / 2 + 0.5 for n in numbers(adjusted, part))
        assert shares[0] >= 0 and shares[-1] <= 1
        assert len(set(shares)) == 2000  # each image has its own
        assert max(abs((i + 0.5) / 2000 - share) for i, share in enumerate(shares)) < 0.04


def test_the_order_is_drawn_for_each_image(adjusted):
    Augmentation(PLAIN, jitter=0.4, hue=0.1)(images(batch=2400), draw())
    orders = [tuple(part for part, _ in each) for each in adjusted.values()]
    counts = {order: orders.count(order) for order in orders}
    assert len(counts) == 24 and all(60 < count < 145 for count in counts.values())


@pytest.mark.parametrize(
    ("jitter", "hue", "parts"),
    [(0.4, 0.0, {"brightness", "contrast", "saturation"}), (0.0, 0.1, {"hue"}), (0.0, 0.0, set())],
)
def test_what_does_not_vary_is_left_alone(adjusted, jitter, hue, parts):
    Augmentation(PLAIN, jitter=jitter, hue=hue)(images(), draw())
    assert {part for each in adjusted.values() for part, _ in each} == parts


def test_colours_are_changed_as_they_were_drawn(monkeypatch):
    """Brightness by its formula: every byte times the image's factor, at most 255."""
    for part in ("contrast", "saturation"):
        monkeypatch.setattr(colours, f"adjust_{part}", lambda image, number: image)
    pixels = images()
    factors = 1 + 0.8 * (2 * torch.rand(2, 64, 4, generator=draw(3))[1, :, 0] - 1)
    expected = (pixels.double() * factors[:, None, None, None].double()).clamp(max=255)
    found = Augmentation(PLAIN, jitter=0.8)(pixels, draw(3)) * 255
    assert (found.double() - expected).abs().max() <= 1.001  # cut off to a byte
    assert (expected == 255).any()


def test_turned_hues_keep_the_brightest_channel():
    """What is turned is hue alone: value and, up to rounding, saturation stay."""
    pixels = images()
    found = (Augmentation(PLAIN, hue=0.5)(pixels, draw()) * 255).round()
    assert (found.amax(1) - pixels.amax(1)).abs().max() <= 1
    assert (found.amin(1) - pixels.amin(1)).abs().max() <= 1
    assert not torch.equal(found, pixels.float())


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_images_have_no_hue_to_turn(channels):
    grey = images()[:, :1].expand(-1, channels, -1, -1)
    plain = Normalisation(torch.zeros(channels), torch.ones(channels))
    assert torch.equal(Augmentation(plain, hue=0.5)(grey, draw()), plain(grey))
    changed = Augmentation(plain, jitter=0.5, hue=0.5)(grey, draw())
    assert not torch.equal(changed, plain(grey))
    assert torch.equal(changed, changed[:, :1].expand_as(changed))  # and stay grey


def test_colours_are_a_function_of_the_generator():
    augment = Augmentation(PLAIN, crop=1, flip=True, jitter=0.4, hue=0.2)
    torch.manual_seed(1)
    one = augment(images(), draw(5))
    state = torch.get_rng_state()
    assert torch.equal(one, augment(images(), draw(5)))
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(one, augment(images(), draw(6)))
    assert one.min() >= 0 and one.max() <= 1


def test_bytes_that_are_given_stay_as_they_are():
    pixels = images()
    before = pixels.clone()
    Augmentation(PLAIN, crop=1, flip=True, cutout=2, jitter=0.9, hue=0.5)(pixels, draw())
    assert torch.equal(pixels, before)
