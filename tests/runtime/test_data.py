"""Data sets as they are asked for by name, and a folder of images with all that may be wrong."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10, CIFAR100

from runtime.data import Images, load
from runtime.errors import UserError
from runtime.image_files import ImageFiles
from runtime.text import Text


def save(path, mode="RGB", size=(6, 4), value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode in "L1" else (value, 1, 2)).save(path)


@pytest.fixture
def folder(tmp_path):
    """Two classes, three images each to train on and one to test on, of several formats."""
    for part, count in (("train", 3), ("test", 1)):
        for kind, value in (("bee", 10), ("ant", 20)):
            for i in range(count):
                suffix = ("png", "bmp", "PNG")[i]
                save(tmp_path / part / kind / f"{i}.{suffix}", value=value + i)
    return tmp_path


def failure(folder):
    with pytest.raises(UserError) as found:
        load(f"images:{folder}")
    message = str(found.value)
    assert "\n" not in message
    return message


def test_digits_are_split_the_same_way_each_time():
    one, two = load("digits"), load("digits")
    assert one.shape == (1, 8, 8) and len(one.train) == 1497 and len(one.test) == 300
    assert torch.equal(one.train, two.train) and torch.equal(one.test_labels, two.test_labels)
    assert (one.train.min(), one.train.max()) == (0, 255)
    assert set(one.test_labels.tolist()) == set(range(10))


def test_a_folder_s_classes_are_sorted_and_its_pixels_exact(folder):
    images = load(f"images:{folder}")
    assert images.classes == ("ant", "bee") and images.shape == (3, 4, 6)
    assert images.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert images.train[:, 0, 0, 0].tolist() == [20, 21, 22, 10, 11, 12]
    assert images.train[0, :, 0, 0].tolist() == [20, 1, 2]
    assert images.test_labels.tolist() == [0, 1]
    assert images.name == f"images:{folder.resolve()}"


def test_rows_and_columns_are_where_they_were(folder):
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    Image.fromarray(pixels).save(folder / "train" / "ant" / "0.png")
    image = load(f"images:{folder}").train[0]
    assert torch.equal(image, torch.from_numpy(pixels).expand(3, 4, 6))


def test_images_are_grey_when_every_one_is(folder):
    for i, path in enumerate(sorted(p for p in folder.rglob("*") if p.is_file())):
        save(path, "L" if i else "1", value=1)
    assert load(f"images:{folder}").shape == (1, 4, 6)
    save(folder / "test" / "ant" / "colour.png")
    images = load(f"images:{folder}")
    assert images.shape == (3, 4, 6)
    assert images.train[-1, :, 0, 0].tolist() == [1, 1, 1]


def test_val_stands_in_for_test(folder):
    (folder / "test").rename(folder / "val")
    assert len(load(f"images:{folder}").test) == 2


def test_nested_folders_count_and_other_files_are_passed_over(folder):
    save(folder / "train" / "ant" / "more" / "9.png", value=9)
    (folder / "train" / "ant" / "boxes.txt").write_text("1 2 3")
    (folder / "train" / ".DS_Store").write_text("")
    (folder / "train" / "ant" / "._0.png").write_text("")
    assert len(load(f"images:{folder}").train) == 7


def test_nothing_is_written_beside_the_images(folder):
    before = sorted(folder.rglob("*"))
    load(f"images:{folder}")
    assert sorted(folder.rglob("*")) == before


def test_a_missing_folder_or_part_is_named(folder, tmp_path):
    assert "there is no folder" in failure(tmp_path / "nowhere")
    (folder / "test").rename(folder / "tset")
    assert "there is neither" in failure(folder)
    (folder / "train").rename(folder / "learn")
    assert f"there is no folder {folder / 'train'}" in failure(folder)


def test_an_image_of_another_size_is_named_with_both_sizes(folder):
    save(folder / "train" / "bee" / "1.bmp", size=(7, 4))
    message = failure(folder)
    assert str(folder / "train" / "bee" / "1.bmp") in message
    assert "7×4" in message and "6×4" in message


def test_an_unreadable_image_is_named(folder):
    path = folder / "test" / "bee" / "0.png"
    path.write_bytes(path.read_bytes()[:40])
    assert f"cannot read {path} as an image" in failure(folder)
    path.write_text("not an image")
    assert f"cannot read {path} as an image" in failure(folder)


def test_classes_must_be_there_to_train_on_and_not_be_empty(folder):
    (folder / "train" / "cat").mkdir()
    assert f"{folder / 'train' / 'cat'} holds no images" in failure(folder)
    (folder / "train" / "cat").rename(folder / "test" / "cat")
    assert "a class that `train/` does not have" in failure(folder)


def test_images_straight_in_train_are_explained(folder, tmp_path):
    flat = tmp_path / "flat"
    save(flat / "train" / "0.png")
    save(flat / "test" / "0.png")
    assert "has no folders: one for each class" in failure(flat)


@pytest.mark.parametrize(
    "name, message",
    [
        ("cifar", "did you mean `cifar10`"),
        ("topic", "did you mean `topics`"),
        ("image:photographs", "did you mean `images`"),
        (
            "mnist-of-mine",
            "are `cifar10`, `cifar100`, `digits`, `topics`, `images:DIR` or `text:DIR`",
        ),
        ("cifar1000", "did you mean `cifar100`"),
        ("images", "write `images:DIR`"),
        ("images:", "write `images:DIR`"),
        ("text", "write `text:DIR`"),
        ("text:", "write `text:DIR`"),
    ],
)
def test_an_unknown_name_lists_the_choices(name, message):
    with pytest.raises(UserError, match=message):
        load(name)


def test_text_is_asked_for_by_name_too(tmp_path):
    for part in ("train", "valid", "test"):
        (tmp_path / f"{part}.txt").write_text("a b\n")
    text = load(f"text:{tmp_path}")
    assert isinstance(text, Text) and text.words == ("a", "b", "<eos>")
    assert load("topics").name == "topics"


def test_facts_tell_images_apart_by_any_pixel_or_label(folder):
    facts = load(f"images:{folder}").facts()
    assert facts == load(f"images:{folder}").facts()
    assert (facts["train"], facts["test"]) == (6, 2)
    assert (facts["shape"], facts["classes"]) == ([3, 4, 6], ["ant", "bee"])
    save(folder / "test" / "ant" / "0.png", value=99)
    pixel = load(f"images:{folder}").facts()
    (folder / "train" / "bee" / "0.png").rename(folder / "train" / "ant" / "z.png")
    label = load(f"images:{folder}").facts()
    assert len({f["sha256"] for f in (facts, pixel, label)}) == 3


@pytest.mark.parametrize(
    ("name", "kind", "called", "archive"),
    [
        ("cifar10", CIFAR10, "CIFAR-10", "cifar-10-python.tar.gz"),
        ("cifar100", CIFAR100, "CIFAR-100", "cifar-100-python.tar.gz"),
    ],
)
def test_cifar_that_cannot_be_had_names_the_ways_out(
    tmp_path, monkeypatch, name, kind, called, archive
):
    def offline(self):
        raise OSError("no route to host")

    monkeypatch.setenv("DARTSC_DATA", str(tmp_path))
    monkeypatch.setattr(kind, "download", offline)
    with pytest.raises(UserError) as found:
        load(name)
    message = str(found.value)
    for part in (str(tmp_path), "no route to host", "--data images:DIR", "--data digits"):
        assert part in message
    assert message.startswith(f"{called} is not in") and archive in message
    assert "\n" not in message


def test_cifar100_is_read_with_its_hundred_classes(tmp_path, monkeypatch):
    """From files as they are on its page, with four images in place of 60,000."""
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    # Red, green and blue planes of 32 × 32 after each other.
    rows = np.arange(4 * 3 * 32 * 32).reshape(4, -1) % 251
    for part, fine in (("train", [99, 0, 7]), ("test", [5])):
        content = {"data": rows[: len(fine)].astype(np.uint8), "fine_labels": fine}
        content["coarse_labels"] = [1] * len(fine)
        (folder / part).write_bytes(pickle.dumps(content))
    names = [f"class {i}" for i in range(100)]
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": names}))
    monkeypatch.setenv("DARTSC_DATA", str(tmp_path))
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *arguments: True)
    images = load("cifar100")
    assert images.name == "cifar100" and images.classes == tuple(names)
    assert images.shape == (3, 32, 32) and images.train.is_contiguous()
    assert images.train_labels.tolist() == [99, 0, 7] and images.test_labels.tolist() == [5]
    for channel, row, column in ((0, 0, 0), (1, 3, 4), (2, 31, 31)):
        value = (1024 * channel + 32 * row + column) % 251
        assert images.test[0, channel, row, column] == value


def test_images_in_memory_are_read_by_part():
    images = load("digits")
    assert images.pixels("train").tensor is images.train
    assert images.pixels("test").tensor is images.test


def test_a_side_makes_files_of_a_folder(folder):
    images = load(f"images:{folder}", 8)
    assert isinstance(images, ImageFiles) and images.shape == (3, 8, 8)
    assert isinstance(load(f"images:{folder}"), Images)


def test_images_that_are_no_images_are_refused():
    good = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    labels = torch.tensor([0, 1])
    Images("x", good, labels, good, labels, ("a", "b"))
    with pytest.raises(ValueError, match="bytes"):
        Images("x", good.float(), labels, good, labels, ("a", "b"))
    with pytest.raises(ValueError, match="index into the classes"):
        Images("x", good, labels, good, labels, ("a",))
    with pytest.raises(ValueError, match="one for each image"):
        Images("x", good, labels[:1], good, labels, ("a", "b"))
    with pytest.raises(ValueError, match="same shape"):
        Images("x", good, labels, good[:, :1], labels, ("a", "b"))
