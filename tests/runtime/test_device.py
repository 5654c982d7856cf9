"""Devices by name, and those that are not there."""

import pytest
import torch

from runtime.device import choose_device
from runtime.errors import UserError


def test_auto_takes_what_there_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"


@pytest.mark.parametrize("name", ["gpu", "meta", "", "cuda:x"])
def test_other_names_are_refused(name):
    with pytest.raises(UserError, match="use `auto`, `cpu` or `cuda`"):
        choose_device(name)


def test_a_missing_cuda_device_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="--device cpu"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match="there is no `cuda:3`"):
        choose_device("cuda:3")
