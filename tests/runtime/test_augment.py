"""Crops, flips, colours, cutout and normalisation, against the slow and obvious way of each."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms.v2 import functional as colours

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


def one_by_one(images, jitter, hue, generator):
    """Colours changed image by image, by torchvision, in the order that is drawn for each."""
    drawn = torch.rand(2, len(images), 4, generator=generator)
    orders, shifts = drawn[0].argsort(1).tolist(), (2 * drawn[1] - 1).tolist()
    changed = []
    for image, order, shift in zip(images, orders, shifts, strict=True):
        for part in order:
            if part < 3 and jitter:
                name = ("brightness", "contrast", "saturation")[part]
                image = getattr(colours, f"adjust_{name}")(image, 1 + jitter * shift[part])
            elif part == 3 and hue:
                image = colours.adjust_hue(image, hue * shift[3])
        changed.append(image)
    return torch.stack(changed)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("jitter", "hue"), [(0.4, 0.1), (0.4, 0.0), (0.0, 0.1), (1.0, 0.5)])
def test_colours_are_those_of_one_image_after_another(channels, jitter, hue):
    plain = Normalisation(torch.zeros(channels), torch.ones(channels))
    pixels = images(batch=96, height=16, width=16)[:, :channels]
    expected = plain(one_by_one(pixels, jitter, hue, draw(3)))
    found = Augmentation(plain, jitter=jitter, hue=hue)(pixels, draw(3))
    assert torch.equal(found, expected)
    cropped = Augmentation(plain, 1, True, jitter=jitter, hue=hue)(pixels, draw(3))
    assert cropped.stride() == expected.stride()  # by which convolutions choose their way


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


@pytest.fixture
def nothing_is_read(monkeypatch):
    """Whatever asks what a tensor holds fails, as it would make the host wait for a device."""

    def asked(*arguments, **options):
        raise AssertionError("a tensor was read")

    names = ("item", "tolist", "numpy", "cpu", "nonzero", "masked_select", "unique")
    for name in (*names, "__bool__", "__int__", "__float__", "__index__"):
        monkeypatch.setattr(torch.Tensor, name, asked)


class NoMasks(TorchDispatchMode):
    """Refuses operations whose result has a size that only the device knows."""

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        name = operation.overloadpacket.__name__
        assert name not in ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero")
        if name in ("index", "index_put_"):
            assert not any(i is not None and i.dtype == torch.bool for i in arguments[1])
        return operation(*arguments, **(options or {}))


@pytest.mark.parametrize("change", [
    {}, {"crop": 2, "flip": True}, {"cutout": 3}, {"jitter": 0.4}, {"hue": 0.1},
    {"crop": 2, "flip": True, "cutout": 3, "jitter": 0.4, "hue": 0.1},
])  # fmt: skip
def test_no_tensor_is_read_on_the_way(nothing_is_read, change):
    augment, pixels, generator = Augmentation(PLAIN, **change), images(), draw()
    with NoMasks():
        augment(pixels, generator)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_device_is_never_waited_for():
    device = torch.device("cuda")
    plain = Normalisation(torch.zeros(3, device=device), torch.ones(3, device=device))
    augment = Augmentation(plain, crop=2, flip=True, cutout=3, jitter=0.4, hue=0.1)
    pixels, generator = images().to(device), torch.Generator(device)
    torch.cuda.set_sync_debug_mode("error")
    try:
        augment(pixels, generator)
    finally:
        torch.cuda.set_sync_debug_mode("default")
