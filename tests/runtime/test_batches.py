"""The halves are disjoint and seeded, and their batches are functions of the step."""

from itertools import chain, islice

import pytest
import torch

from dsl.settings import Settings
from runtime.batches import split
from runtime.data import Images
from runtime.errors import UserError
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
    return sorted(half.images[:, 1, 0, 0].tolist())


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
