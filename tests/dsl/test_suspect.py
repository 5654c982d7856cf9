"""What is no warning; the warnings themselves are drawn among the compiler's faults."""

from __future__ import annotations

import pytest

from dsl import load_text

NETWORK = "network from image[3, 8, 8] to class[_, _, _] = image -> {}\n"
USED = NETWORK.format("f")


@pytest.mark.parametrize(
    "text",
    [
        "op used = relu\n" + NETWORK.format("used"),
        "op f(k) from x[c, k, _] = x\n" + NETWORK.format("f(8)"),  # read in a pattern
        "op f(a, b = a) = conv(b)\n" + NETWORK.format("f(3)"),  # read in a default
        "op f from x, _ = x\n" + USED.replace("image ->", "(image, image) ->"),
        "op f from x { shared W = conv(3) return sum(x -> W, x -> W -> relu) }\n" + USED,
        "op f from x { shared W = conv(3) return sum(each (x, x) -> W) }\n" + USED,
        "op f = relu when search\n" + USED,
        "set s = { conv(k) for k in (1, 3) if k > 1 }\ncell c from x = x -> choose s\n"
        + NETWORK.format("c"),
    ],
)  # fmt: skip
def test_no_warning(text: str) -> None:
    assert load_text("language 1\n" + text).warnings == ()


def test_a_file_to_import_may_declare_what_it_does_not_use() -> None:
    assert load_text("language 1\nop f = relu\nset s = { f, tanh }\n").warnings == ()


def test_what_only_the_unused_uses_is_not_reported_too() -> None:
    text = "language 1\nop a = relu\nop b = a -> tanh\n" + NETWORK.format("gelu")
    assert [d.message for d in load_text(text).warnings] == ["the op `b` is never used"]
