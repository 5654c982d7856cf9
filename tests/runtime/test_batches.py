"""Parts are disjoint and seeded, and their batches are functions of the step."""

import dataclasses
import threading
from itertools import chain, islice

import pytest
import torch
from tiny import coloured, picture_folder

from dsl.settings import Settings
from runtime.augment import Normalisation
from runtime.batches import images_to_test_on, split, statistics_of, whole
from runtime.data import Images
from runtime.errors import UserError
from runtime.folder import load_files
from runtime.seeds import stream_seed

CPU = torch.device("cpu")


def numbered(count=103, tests=300):
    """Images sorted by class, as folders are; each one's number is in its two channels."""
    number = torch.arange(count)
    train = torch.stack([number // 256, number % 256], 1).to(torch.uint8)
    train = train[:, :, None, None].expand(-1, -1, 4, 4).contiguous()
    test = torch.zeros(tests, 2, 4, 4, dtype=torch.uint8)
    labels = number * 5 // count
    classes = tuple("abcde")
    return Images("numbered", train, labels, test, torch.zeros(tests).long(), classes)


def rows(half):
    return sorted(half.pixels.tensor[:, 1, 0, 0].tolist())


def test_the_halves_share_nothing_and_hold_every_class():
    parts = split(numbered(), Settings(batch=8), 0, CPU)
    train, valid = rows(parts.train), rows(parts.valid)
    assert (len(train), len(valid)) == (51, 52)
    assert sorted(train + valid) == list(range(103))
    assert set(parts.train.labels.tolist()) == set(parts.valid.labels.tolist()) == set(range(5))
    assert rows(split(numbered(), Settings(batch=8), 0, CPU).train) == train
    assert rows(split(numbered(), Settings(batch=8), 1, CPU).train) != train


def test_a_subset_is_drawn_by_the_seed():
    parts = split(numbered(), Settings(batch=8, subset=40), 0, CPU)
    chosen = sorted(rows(parts.train) + rows(parts.valid))
    assert len(set(chosen)) == 40 and chosen != list(range(40))


def originals(half, step, count):
    """The image numbers in some batches: the normalisation undone."""
    normalise = half.augment.normalise
    for images, labels in islice(half.from_step(step), count):
        pixels = images[:, 1, 0, 0] * normalise.deviation[1] + normalise.mean[1]
        yield (pixels * 255).round().int().tolist(), labels.tolist()


def test_a_pass_sees_each_image_at_most_once_and_then_starts_anew():
    half = split(numbered(), Settings(batch=8), 0, CPU).valid
    assert half.batches == 6
    batches = [numbers for numbers, _ in originals(half, 0, 12)]
    first, second = list(chain(*batches[:6])), list(chain(*batches[6:]))
    assert all(len(batch) == 8 for batch in batches)
    assert len(set(first)) == len(set(second)) == 48
    assert first != second
    for numbers, labels in originals(half, 0, 6):
        assert labels == [number * 5 // 103 for number in numbers]


def test_batches_from_any_step_are_those_of_a_run_from_the_start():
    settings = Settings(batch=8, crop=2, flip=True, cutout=2)
    half = split(numbered(), settings, 0, CPU).train
    whole = list(islice(half.from_step(0), 20))
    for step in (1, 5, 6, 13):
        for (images, labels), (again, labels_again) in zip(
            whole[step:], half.from_step(step), strict=False
        ):
            assert torch.equal(images, again) and torch.equal(labels, labels_again)


def test_the_two_halves_draw_apart():
    parts = split(numbered(104), Settings(batch=8), 0, CPU)
    places = [
        [sorted(rows(half)).index(n) for n in chain(*(b for b, _ in originals(half, 0, 6)))]
        for half in (parts.train, parts.valid)
    ]
    assert places[0] != places[1]


def test_evaluation_sees_every_image_once():
    test = split(numbered(), Settings(batch=8), 0, CPU).test
    assert sum(len(labels) for _, labels in test) == len(test) == 300


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"batch": 52}, "half of 103 training images is less than one `batch` of 52"),
        ({"batch": 8, "subset": 104}, "`subset` asks for 104 training images"),
        ({"batch": 8, "subset": 15}, "half of 15 training images"),
    ],
)
def test_too_few_images_are_a_user_s_fault(settings, message):
    with pytest.raises(UserError, match=message):
        split(numbered(), Settings(**settings), 0, CPU)


def test_streams_of_near_seeds_are_apart():
    seeds = {
        stream_seed(s, "order", name, i) for s in range(20) for name in "ab" for i in range(20)
    }
    assert len(seeds) == 800 and all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize(
    ("count", "batch", "sizes"),
    [
        (103, 8, [8] * 12 + [7]),
        (104, 8, [8] * 13),
        (105, 8, [8] * 13),  # no norm can train on a single image
        (106, 8, [8] * 13 + [2]),
        (7, 8, [7]),
        (9, 8, [8]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_a_training_takes_every_image_but_a_last_single_one(count, batch, sizes):
    train = whole(numbered(count), Settings(batch=batch), 0, CPU).train
    assert train.batches == len(sizes)
    passes = [list(originals(train, turn * len(sizes), len(sizes))) for turn in (0, 1)]
    for found in passes:
        assert [len(images) for images, _ in found] == sizes
        seen = list(chain(*(images for images, _ in found)))
        assert len(set(seen)) == sum(sizes)
        labels = list(chain(*(labels for _, labels in found)))
        assert labels == [number * 5 // count for number in seen]
    assert count < 7 or passes[0] != passes[1]


def test_a_training_takes_a_subset_drawn_by_the_seed():
    parts = whole(numbered(), Settings(batch=8, subset=40), 0, CPU)
    chosen = rows(parts.train)
    assert len(set(chosen)) == 40 and chosen != list(range(40))
    assert rows(whole(numbered(), Settings(batch=8, subset=40), 0, CPU).train) == chosen
    assert rows(whole(numbered(), Settings(batch=8, subset=40), 1, CPU).train) != chosen
    assert len(parts.test) == 300


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"subset": 1}, "a training takes at least two images"),
        ({"subset": 104}, "`subset` asks for 104 training images and `numbered` has 103"),
        ({"cutout": 4}, r"`cutout` \(4\) blanks whole images of `numbered`, whose .* is 4: make"),
    ],
)
def test_what_a_training_cannot_do_with_images_is_told(settings, message):
    with pytest.raises(UserError, match=message):
        whole(numbered(), Settings(batch=8, **settings), 0, CPU)


def test_cutout_that_blanks_whole_images_stops_a_search_too():
    with pytest.raises(UserError, match="`cutout`"):
        split(numbered(), Settings(batch=8, cutout=5), 0, CPU)
    split(numbered(), Settings(batch=8, cutout=3), 0, CPU)


@pytest.mark.parametrize("subset", [0, 12])
def test_images_are_normalised_by_the_statistics_of_those_in_use(subset):
    images = coloured()
    parts = whole(images, Settings(batch=40, subset=subset), 3, CPU)
    batch, _ = next(parts.train.from_step(0))
    assert batch.mean((0, 2, 3)).abs().max() < 1e-5
    assert (batch.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-5
    # The images to test on by the same numbers, not by their own.
    mean = parts.test.normalise.mean[:, None, None]
    deviation = parts.test.normalise.deviation[:, None, None]
    expected = (images.test / 255 - mean) / deviation
    tested = torch.cat([batch for batch, _ in parts.test])
    torch.testing.assert_close(tested, expected, atol=1e-5, rtol=0)


def test_images_to_test_on_are_normalised_as_asked():
    images = coloured()
    other = Normalisation(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([1.0, 2.0, 0.5]))
    ((batch, labels),) = images_to_test_on(images, other, CPU)
    expected = (images.test / 255 - other.mean[:, None, None]) / other.deviation[:, None, None]
    torch.testing.assert_close(batch, expected, atol=1e-5, rtol=0)
    assert torch.equal(labels, images.test_labels)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return load_files(picture_folder(tmp_path_factory.mktemp("pictures")), 8)


FILES = Settings(batch=3, crop=1, flip=True, cutout=2, jitter=0.4, jitter_hue=0.1)


@pytest.mark.parametrize("make", [whole, split])
def test_batches_from_files_are_functions_of_the_seed_and_the_step(files, make):
    train = make(files, FILES, 0, CPU).train
    there = list(islice(train.from_step(0), 3 * train.batches))
    assert all(images.shape[1:] == (3, 8, 8) for images, _ in there)
    for step in (1, train.batches - 1, train.batches, 2 * train.batches + 1):
        again = list(islice(make(files, FILES, 0, CPU).train.from_step(step), 4))
        assert same_batches(again, there[step : step + 4])
    other = list(islice(make(files, FILES, 1, CPU).train.from_step(0), 3))
    assert not same_batches(other, there[:3])


def same_batches(one, two):
    """Of two lists, as far as the shorter one goes."""
    return all(
        torch.equal(images, others) and torch.equal(labels, other_labels)
        for (images, labels), (others, other_labels) in zip(one, two, strict=False)
    )


def test_crops_of_an_image_change_from_pass_to_pass(files):
    train = whole(files, Settings(batch=20), 0, CPU).train
    one, two = (images for images, _ in islice(train.from_step(0), 2))
    assert one.shape == two.shape == (20, 3, 8, 8)
    assert min((a - b).abs().max() for a in one for b in two) > 0.1


def test_reading_ahead_changes_nothing(files, monkeypatch):
    train = whole(files, FILES, 0, CPU).train
    ahead = list(islice(train.from_step(2), 10))
    tested = list(whole(files, FILES, 0, CPU).test)
    monkeypatch.setattr(type(files.pixels("train")), "ahead", 0)
    assert same_batches(ahead, islice(train.from_step(2), 10))
    assert same_batches(tested, list(whole(files, FILES, 0, CPU).test))
    assert torch.cat([labels for _, labels in tested]).tolist() == [0] * 3 + [1] * 3


def test_a_file_that_cannot_be_read_stops_the_caller_and_the_thread(files, tmp_path):
    (bad := tmp_path / "bad.png").write_text("not an image")
    broken = dataclasses.replace(files, train=(*files.train[:-1], bad))
    normalise = statistics_of(files)
    parts = whole(dataclasses.replace(files), Settings(batch=3), 0, CPU)
    train = dataclasses.replace(
        parts.train, pixels=broken.pixels("train"), labels=broken.train_labels
    )
    before = {thread for thread in threading.enumerate() if "Pool" not in thread.name}
    with pytest.raises(UserError, match=f"cannot read {bad} as an image"):
        list(islice(train.from_step(0), 2 * train.batches))
    assert {thread for thread in threading.enumerate() if "Pool" not in thread.name} == before
    assert normalise.mean.shape == (3,)


def test_statistics_of_files_are_of_a_sample_in_the_middle(files, monkeypatch):
    everything = files.pixels("train").read(torch.arange(20))
    expected = Normalisation.of(everything)
    found = statistics_of(files)
    torch.testing.assert_close(found.mean, expected.mean)
    torch.testing.assert_close(found.deviation, expected.deviation)
    monkeypatch.setattr("runtime.batches.SAMPLE", 5)
    means = [statistics_of(files, seed=seed).mean for seed in (0, 0, 1)]
    assert torch.equal(means[0], means[1]) and not torch.equal(means[0], means[2])
    some = statistics_of(files, torch.tensor([2, 3]))
    torch.testing.assert_close(some.mean, Normalisation.of(everything[2:4]).mean)


def test_some_of_the_images_to_test_on_are_drawn_by_the_seed():
    images = numbered(tests=300)
    images = dataclasses.replace(images, test_labels=torch.arange(300) % 5)
    drawn = [split(images, Settings(batch=8, test_subset=40), seed, CPU).test for seed in (0, 0, 1)]
    one, same, other = (torch.cat([labels for _, labels in test]).tolist() for test in drawn)
    assert len(one) == len(drawn[0]) == 40
    assert one == same != other
    with pytest.raises(UserError, match="`test_subset` asks for 301 images to test on"):
        split(images, Settings(batch=8, test_subset=301), 0, CPU)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("share", [1.0, 0.0])  # on the device, and sent batch by batch
def test_a_device_is_never_waited_for(monkeypatch, share):
    monkeypatch.setattr("runtime.batches.MEMORY_SHARE", share)
    settings = Settings(batch=8, crop=1, flip=True, cutout=2, jitter=0.4, jitter_hue=0.1)
    train = split(coloured(), settings, 0, torch.device("cuda")).train
    expected = list(islice(train.from_step(0), 2 * train.batches))
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = list(islice(train.from_step(0), 2 * train.batches))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert same_batches(found, expected)
