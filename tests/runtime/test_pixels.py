"""Images in memory by number, and items that a thread makes ahead of time."""

import threading
import time
from itertools import count, islice

import pytest
import torch

from runtime.pixels import AHEAD, InMemory, prepared, sent

CPU = torch.device("cpu")


@pytest.fixture
def threads():
    """How many threads there are more than before."""
    before = threading.active_count()
    return lambda: threading.active_count() - before


def test_images_in_memory_are_read_by_number_and_numbered_anew():
    pixels = InMemory(torch.arange(5, dtype=torch.uint8)[:, None, None, None].expand(5, 1, 2, 2))
    assert len(pixels) == 5 and pixels.ahead == 0
    assert pixels.read(torch.tensor([4, 0, 4]))[:, 0, 0, 0].tolist() == [4, 0, 4]
    some = pixels.picked(torch.tensor([3, 1]))
    assert len(some) == 2
    assert some.read(torch.tensor([1, 0]))[:, 0, 0, 0].tolist() == [1, 3]
    assert torch.equal(some.on(CPU, 0.1).read(torch.tensor([0])), some.read(torch.tensor([0])))


@pytest.mark.parametrize("free", [1000, 100])
def test_images_go_to_a_device_where_they_take_less_than_their_share(monkeypatch, free):
    pixels = InMemory(torch.zeros(5, 1, 2, 2, dtype=torch.uint8))  # 20 bytes
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10**9))
    moved = []
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device: moved.append(device) or tensor)
    there = pixels.on(torch.device("cuda"), 0.1)
    assert len(moved) == (1 if free == 1000 else 0)
    assert there.ahead == (0 if free == 1000 else AHEAD)  # what stays is sent batch by batch


def test_what_is_on_its_device_is_not_copied():
    tensor = torch.arange(3)
    assert sent(tensor, CPU) is tensor


def test_what_goes_to_a_device_goes_from_pinned_memory_without_waiting(monkeypatch):
    steps = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: steps.append("pin") or tensor)
    monkeypatch.setattr(
        torch.Tensor, "to", lambda tensor, *to, **how: steps.append((*to, how)) or tensor
    )
    sent(torch.arange(3), torch.device("cuda"))
    assert steps == ["pin", (torch.device("cuda"), {"non_blocking": True})]


@pytest.mark.parametrize("ahead", [0, 1, 2, 7])
def test_items_are_the_same_and_in_order_however_many_are_made_ahead(ahead, threads):
    assert list(prepared(iter(range(5)), ahead)) == [0, 1, 2, 3, 4]
    assert list(prepared(iter([]), ahead)) == []
    assert list(prepared(iter([None, False]), ahead)) == [None, False]
    assert threads() == 0


def test_no_more_are_made_than_asked_for():
    made = []
    items = prepared((made.append(i) or i for i in count()), 2)
    assert made == []  # none before the first is asked for
    for taken in range(1, 6):
        next(items)
        time.sleep(0.01)
        assert len(made) <= taken + 2
    items.close()


def test_items_are_made_beside_the_caller():
    makers = set(prepared((threading.get_ident() for _ in range(4)), 2))
    assert len(makers) == 1 and threading.get_ident() not in makers


def test_an_error_reaches_the_caller_in_its_place(threads):
    def failing():
        yield 1
        yield 2
        raise ValueError("the third is bad")

    items = prepared(failing(), 2)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(ValueError, match="the third is bad"):
        next(items)
    assert threads() == 0
    with pytest.raises(StopIteration):
        next(items)


def test_the_thread_ends_with_the_items(threads):
    items = prepared(iter(range(100)), 3)
    next(items)
    assert threads() == 1
    items.close()
    assert threads() == 0
    for _ in islice(prepared(iter(range(100)), 3), 2):  # dropped in the middle
        pass
    assert threads() == 0
