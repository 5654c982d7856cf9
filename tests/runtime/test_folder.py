"""A folder of images that stay in their files, and what of it is refused."""

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import picture, picture_folder

from runtime.data import load
from runtime.errors import UserError
from runtime.folder import load_files, load_folder


@pytest.fixture
def folder(tmp_path):
    return picture_folder(tmp_path)


def test_files_are_in_the_order_of_their_classes(folder):
    images = load_files(folder, 8)
    assert images.classes == ("ant", "bee")
    assert images.train_labels.tolist() == [0] * 10 + [1] * 10
    assert images.test_labels.tolist() == [0] * 3 + [1] * 3
    assert [path.parent.name for path in images.train] == ["ant"] * 10 + ["bee"] * 10
    assert list(images.train[:10]) == sorted((folder / "train" / "ant").iterdir())
    assert images.train_labels.dtype == torch.int64


def test_they_are_those_of_a_folder_in_memory(tmp_path):
    for part in ("train", "val"):
        for i, kind in enumerate(("b", "a")):
            picture(tmp_path / part / kind / "1.png", (8, 8), seed=i)
            picture(tmp_path / part / kind / "deeper" / "0.PNG", (8, 8), seed=2 + i)
            (tmp_path / part / kind / "notes.txt").write_text("")
            (tmp_path / part / kind / ".hidden.png").write_text("")
    files, images = load_files(tmp_path, 8), load_folder(tmp_path)
    assert files.name == images.name == f"images:{tmp_path.resolve()}"
    assert files.classes == images.classes
    assert torch.equal(files.train_labels, images.train_labels)
    for part in ("train", "test"):
        own = [np.asarray(Image.open(path)).transpose(2, 0, 1) for path in getattr(files, part)]
        read = images.pixels(part).read(torch.arange(4))
        assert torch.equal(torch.from_numpy(np.stack(own)), read)


def test_sizes_may_differ_only_where_crops_bring_them_to_one(folder):
    with pytest.raises(UserError, match=r"bring all to one size, or `--set resized_crop="):
        load(f"images:{folder}")
    assert load(f"images:{folder}", 8).shape == (3, 8, 8)


@pytest.mark.parametrize("name", ["digits", "cifar10", "cifar100"])
def test_crops_come_from_files_alone(name):
    with pytest.raises(UserError, match="crops come from files: use `--data images:DIR`"):
        load(name, 32)


def failure(folder):
    with pytest.raises(UserError) as found:
        load_files(folder, 8)
    message = str(found.value)
    assert "\n" not in message
    return message


def test_a_class_to_test_on_must_be_one_to_train_on(folder):
    picture(folder / "test" / "cat" / "0.png")
    message = failure(folder)
    assert str(folder / "test" / "cat") in message
    assert "a class that `train/` does not have" in message


def test_a_class_without_images_is_refused(folder):
    (folder / "train" / "cat").mkdir()
    assert f"{folder / 'train' / 'cat'} holds no images" in failure(folder)


def test_a_part_that_is_missing_is_named(folder, tmp_path):
    assert "there is no folder" in failure(tmp_path / "nowhere")
    (folder / "test").rename(folder / "other")
    assert "there is neither" in failure(folder)
    (folder / "other").rename(folder / "val")
    assert len(load_files(folder, 8).test) == 6


def test_more_than_a_byte_a_channel_is_refused(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part / "a").mkdir(parents=True)
        Image.new("I;16", (8, 8), 3000).save(tmp_path / part / "a" / "0.png")
    with pytest.raises(UserError, match="more than 8 bits a channel"):
        load_folder(tmp_path)
