"""Crops by the rules of others, and files of all kinds that become bytes when asked for."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.datasets
import torch
from PIL import Image
from tiny import picture, picture_folder
from torchvision.transforms import CenterCrop, Compose, RandomResizedCrop, Resize, transforms

from runtime.errors import UserError
from runtime.folder import load_files
from runtime.image_files import (
    RATIOS,
    SHARES,
    TRIES,
    Box,
    Files,
    ImageFiles,
    middle,
    random_crop,
)

SIZES = [(40, 40), (640, 427), (33, 50), (3, 2), (1, 1), (200, 20), (20, 200), (5, 4000)]
CHINA = Path(sklearn.datasets.__file__).parent / "images" / "china.jpg"  # 640 × 427 pixels


def draws(seed=0, count=1):
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(count, TRIES, 4, generator=draw, dtype=torch.float64)


def of_torchvision(monkeypatch, size, drawn):
    """What torchvision crops, when its random numbers are the ones that are given."""
    left = iter(drawn.tolist())
    current = []

    class Uniform:
        def uniform_(self, low, high):
            if not current:
                current.extend(next(left)[:2])  # the area, then the ratio
            return torch.as_tensor(low + (high - low) * current.pop(0), dtype=torch.float64)

    places = []

    def randint(low, high, size):
        if not places:
            number = TRIES - len(list(left)) - 1
            places.extend(drawn[number, [3, 2]].tolist())  # the row comes first
        return torch.tensor([math.floor(places.pop(0) * high)])

    fake = SimpleNamespace(
        tensor=lambda ratio: torch.tensor(ratio, dtype=torch.float64),
        log=torch.log, exp=torch.exp, empty=lambda _: Uniform(), randint=randint,
    )  # fmt: skip
    monkeypatch.setattr(transforms, "torch", fake)
    image = torch.empty(3, size[1], size[0])
    top, left_side, height, width = RandomResizedCrop.get_params(image, SHARES, RATIOS)
    return Box(left_side, top, left_side + width, top + height)


@pytest.mark.parametrize("size", SIZES)
def test_random_crops_are_those_of_torchvision(monkeypatch, size):
    for drawn in draws(1, 60):
        found = random_crop(size, drawn)
        expected = of_torchvision(monkeypatch, size, drawn)
        # Torchvision rounds the part in the middle that it falls back to.
        assert found == pytest.approx(expected, abs=1)
        if all(side == int(side) for side in found):
            assert found == expected


@pytest.mark.parametrize("size", SIZES)
def test_random_crops_are_within_bounds(size):
    width, height = size
    for drawn in draws(2, 300):
        left, top, right, bottom = random_crop(size, drawn)
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        if width * height < 100:
            continue  # whole pixels are too coarse for a ratio
        w, h = right - left, bottom - top
        # Each side is rounded by half a pixel at most.
        assert RATIOS[0] - 0.51 / h * 2 <= w / h <= RATIOS[1] + 0.51 / h * 2
        assert w * h <= width * height
        assert (w + 0.5) * (h + 0.5) >= SHARES[0] * width * height or max(size) > 9 * min(size)


def test_random_crops_are_spread_evenly():
    found = [random_crop((1000, 1000), drawn) for drawn in draws(3, 4000)]
    boxes = [(*box[:2], box.right - box.left, box.bottom - box.top) for box in found]
    small = [box for box in boxes if box[2] * box[3] <= 0.5e6]  # these fit, whatever the ratio
    assert len(small) > 1500
    assert spread((w * h / 1e6 - 0.08) / 0.42 for _, _, w, h in small) < 0.03
    assert spread(math.log(w / h) / math.log(16 / 9) + 0.5 for _, _, w, h in small) < 0.03
    assert spread(left / (1000 - w) for left, _, w, _ in small) < 0.03
    assert spread(top / (1000 - h) for _, top, _, h in small) < 0.03


def spread(numbers):
    """How far the numbers' distribution is from the uniform one on 0 to 1 (Kolmogorov)."""
    numbers = sorted(numbers)
    return max(abs((i + 0.5) / len(numbers) - number) for i, number in enumerate(numbers))


def test_the_first_try_that_fits_counts():
    never = [1.0, 1.0, 0.0, 0.0]  # the whole area at 4:3, which a square has no place for
    fits = [0.0, 0.5, 0.999, 0.0]
    drawn = torch.tensor([never, fits, *[[0.5] * 4] * 8], dtype=torch.float64)
    side = round(math.sqrt(0.08) * 100)
    assert random_crop((100, 100), drawn) == Box(100 - side, 0, 100, side)


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((400, 10), (200 - 20 / 3, 0, 200 + 20 / 3, 10)),  # at 4:3
        ((10, 400), (0, 200 - 20 / 3, 10, 200 + 20 / 3)),  # at 3:4
        ((100, 100), (0, 0, 100, 100)),
    ],
)
def test_where_nothing_fits_the_middle_is_taken(size, box):
    never = torch.tensor([[1.0, 1.0, 0.5, 0.5]] * TRIES, dtype=torch.float64)
    assert random_crop(size, never) == pytest.approx(Box(*box))


@pytest.mark.parametrize(("size", "side"), [((640, 427), 224), ((427, 640), 32), ((90, 90), 8)])
def test_the_middle_is_what_scaling_and_cropping_leave(size, side):
    width, height = size
    left, top, right, bottom = middle(size, side)
    scale = round(side * 8 / 7) / min(size)
    assert (right - left) * scale == pytest.approx(side)
    assert (bottom - top) * scale == pytest.approx(side)
    assert (left + right, top + bottom) == pytest.approx((width, height))
    assert middle((256, 256), 224) == (16, 16, 240, 240)


@pytest.mark.parametrize("side", [224, 56])
def test_the_middle_of_a_photograph_is_as_in_two_steps(tmp_path, side):
    """Scaled to 256 (or 64), then cropped, where both come to whole pixels."""
    with Image.open(CHINA) as image:
        photograph = image.crop((10, 20, 610, 420))
    photograph.save(tmp_path / "a.png")
    steps = Compose([Resize(round(side * 8 / 7)), CenterCrop(side)])
    expected = np.asarray(steps(photograph)).astype(int).transpose(2, 0, 1)
    found = Files([tmp_path / "a.png"], side).read(torch.tensor([0]))[0].numpy().astype(int)
    assert found.shape == expected.shape
    assert abs(found - expected).max() <= 1
    assert abs(found - np.roll(expected, 1, 2)).mean() > 5  # so that the bound says something


def test_a_crop_is_scaled_as_pillow_does(tmp_path):
    path = picture(tmp_path / "a.png", (30, 20))
    found = Files([path], 7).read(torch.tensor([0]), torch.Generator().manual_seed(5))
    drawn = draws(5)[0]
    with Image.open(path) as image:
        box = random_crop((30, 20), drawn)
        expected = np.asarray(image.resize((7, 7), Image.Resampling.BILINEAR, box))
    assert torch.equal(found[0], torch.from_numpy(expected.copy()).permute(2, 0, 1))


def test_reading_is_by_number_and_crops_are_by_place(tmp_path):
    paths = [picture(tmp_path / f"{i}.png", seed=i) for i in range(4)]
    files = Files(paths, 6)
    assert len(files) == 4 and files.ahead > 0
    in_turn = files.read(torch.arange(4))
    assert in_turn.dtype == torch.uint8 and in_turn.shape == (4, 3, 6, 6)
    assert in_turn.is_contiguous()
    assert torch.equal(files.read(torch.tensor([2, 0])), in_turn[[2, 0]])
    some = files.picked(torch.tensor([3, 1]))
    assert torch.equal(some.read(torch.arange(2)), in_turn[[3, 1]])
    one, two = (
        files.read(torch.tensor(chosen), torch.Generator().manual_seed(1))
        for chosen in ([0, 1], [3, 1])
    )
    assert torch.equal(one[1], two[1]) and not torch.equal(one[1], in_turn[1])
    again = files.read(torch.tensor([0, 1]), torch.Generator().manual_seed(1))
    other = files.read(torch.tensor([0, 1]), torch.Generator().manual_seed(2))
    assert torch.equal(one, again) and not torch.equal(one, other)


COLOUR = (200, 40, 90)
KINDS = {
    "grey.png": ("L", 77, (77, 77, 77), 0),
    "grey-alpha.png": ("LA", (77, 9), (77, 77, 77), 0),
    "black-and-white.png": ("1", 1, (255, 255, 255), 0),
    "colour.png": ("RGB", COLOUR, COLOUR, 0),
    "alpha.png": ("RGBA", (*COLOUR, 3), COLOUR, 0),  # without its alpha
    "colour.jpg": ("RGB", COLOUR, COLOUR, 3),
    "grey.jpeg": ("L", 77, (77, 77, 77), 3),
    "print.jpg": ("CMYK", (0, 128, 255, 0), (255, 127, 0), 3),
    "colour.webp": ("RGB", COLOUR, COLOUR, 8),
    "colour.bmp": ("RGB", COLOUR, COLOUR, 0),
    "print.tif": ("CMYK", (0, 128, 255, 0), (255, 127, 0), 0),
}


@pytest.mark.parametrize("name", KINDS)
def test_files_of_all_kinds_become_rgb(tmp_path, name):
    mode, value, colour, tolerance = KINDS[name]
    Image.new(mode, (16, 9), value).save(tmp_path / name)
    for generator in (None, torch.Generator()):
        found = Files([tmp_path / name], 5).read(torch.tensor([0]), generator)[0].int()
        expected = torch.tensor(colour)[:, None, None]
        assert found.shape == (3, 5, 5) and (found - expected).abs().max() <= tolerance


def test_palettes_are_looked_up_and_the_first_frame_counts(tmp_path):
    paletted = Image.new("P", (8, 8), 1)
    paletted.putpalette([0, 0, 0, *COLOUR])
    paletted.save(tmp_path / "p.png", transparency=1)
    first, second = Image.new("RGB", (8, 8), COLOUR), Image.new("RGB", (8, 8), "white")
    first.save(tmp_path / "moving.gif", save_all=True, append_images=[second])
    found = Files([tmp_path / "p.png", tmp_path / "moving.gif"], 4).read(torch.arange(2))
    assert found[:, :, 0, 0].tolist() == [list(COLOUR)] * 2


def refusal(path):
    with pytest.raises(UserError) as found:
        Files([path], 4).read(torch.arange(1))
    message = str(found.value)
    assert "\n" not in message and str(path) in message
    return message


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.webp", "a.gif", "a.avif", "a.tif"])
def test_a_damaged_file_is_named_in_one_line(tmp_path, name):
    path = picture(tmp_path / name)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:3], b"", b"not an image"):
        path.write_bytes(damaged)
        assert "repair or remove it" in refusal(path)


def test_a_file_that_is_gone_or_too_large_is_named(tmp_path, monkeypatch):
    path = picture(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # of 120
    assert "repair or remove it" in refusal(path)
    monkeypatch.undo()
    path.unlink()
    assert "repair or remove it" in refusal(path)


@pytest.mark.parametrize("fault", [RuntimeError, NotImplementedError, EOFError, SyntaxError])
def test_whatever_a_decoder_raises_is_told_alike(tmp_path, monkeypatch, fault):
    """Those of AVIF and DDS have ways of their own to refuse a damaged file."""
    picture(path := tmp_path / "a.png")

    def failing(*arguments, **options):
        raise fault("of a library")

    monkeypatch.setattr(Image.Image, "load", failing)
    monkeypatch.setattr(Image.Image, "convert", failing)
    assert "repair or remove it" in refusal(path)


@pytest.mark.parametrize(("name", "kind"), [("a.png", np.uint16), ("a.tif", np.float32)])
def test_more_than_a_byte_a_channel_is_refused_rather_than_cut_off(tmp_path, name, kind):
    Image.fromarray(np.full((8, 8), 3000, dtype=kind)).save(tmp_path / name)
    assert "more than 8 bits a channel: convert it to 8" in refusal(tmp_path / name)


def test_a_set_of_files_says_what_it_is(tmp_path):
    images = load_files(picture_folder(tmp_path), 8)
    assert isinstance(images, ImageFiles) and images.shape == (3, 8, 8)
    assert (len(images.pixels("train")), len(images.pixels("test"))) == (20, 6)
    facts = images.facts()
    assert (facts["train"], facts["test"], facts["shape"]) == (20, 6, [3, 8, 8])
    assert facts["classes"] == ["ant", "bee"]


def test_facts_tell_files_apart_by_name_length_and_class(tmp_path):
    folder = picture_folder(tmp_path)
    (folder / "train" / "ant" / "more").mkdir()
    (folder / "train" / "bee" / "more").mkdir()
    picture(last := folder / "train" / "ant" / "more" / "z.png")
    known = [load_files(folder, 8).facts()]
    assert load_files(folder, 8).facts() == known[0]
    known.append(load_files(folder, 16).facts())
    (folder / "train" / "bee" / "00.png").rename(folder / "train" / "bee" / "0.png")
    known.append(load_files(folder, 8).facts())
    picture(folder / "test" / "bee" / "00.png", (50, 50))
    known.append(load_files(folder, 8).facts())
    # Between the last of one class and the first of the next, only its class has changed.
    for other in (folder / "train" / "bee").glob("*.*"):
        other.rename(other.with_name(f"y{other.name}"))
    known.append(load_files(folder, 8).facts())
    last.rename(folder / "train" / "bee" / "more" / "z.png")
    known.append(load_files(folder, 8).facts())
    assert len({str(facts) for facts in known}) == len(known)


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    folder = picture_folder(tmp_path)
    (folder / "train" / "ant" / "lost.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(UserError, match=r"cannot read .*lost\.png as an image"):
        load_files(folder, 8).facts()
