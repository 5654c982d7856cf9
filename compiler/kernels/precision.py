"""Half precision: what is stored in it is added up in float32."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

HALF = (torch.float16, torch.bfloat16)


def wide(dtype: torch.dtype) -> torch.dtype:
    """What sums of such numbers are taken in."""
    return torch.float32 if dtype in HALF else dtype


def common(values: Sequence[Tensor]) -> torch.dtype:
    """The precision of a value that is made of these."""
    return reduce(torch.promote_types, {value.dtype for value in values})
