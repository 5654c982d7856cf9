"""Programs whose names are all right; what is wrong with others is in `faults`."""

from __future__ import annotations

import pytest

from dsl import DartsError, load_text

FINE = {
    "required argument by name": "op f = conv(k: 3)",
    "list of arguments spreads": "op f = pool((max, 3))",
    "later default reads an earlier parameter": "op f(a, b = 2 * a) = conv(a, out: b)",
    "parameter that is an operation": "op f(g) from x = x -> g(3) -> g",
    "operation without arguments as an argument": "op f(g) = g(3)\nop h = f(conv)",
    "set as an argument": "op f(s) = choose s\nset t = {relu, bn}\nop g = f(t)",
    "set by another name": "set s = {relu, bn}\nset t = s\nop g = choose t",
    "set with arguments": "op f(k, stride = 1) = conv(k, stride: stride)\n"
    "set s = {f(3), f(5)}\nop g = choose s(stride: 2)",
    "set with conditions": "set s = {relu if search, relu if final, bn}",
    "loop over a list": "set s = {conv(k) for k in (3, 5) if k > 3, bn}",
    "labels tell options apart": "set s = {conv(3, out: 1) as a, conv(3, out: 2) as b}",
    "one variable in two options": "set s = {conv(k) for k in (3, 5), crop(k) for k in (1, 2)}",
    "size demanded twice": "op f from x[c, s, s], y[c, s, _] = sum(x, y)",
    "size in a pattern of its parameter": "op f(C) from x[2 * C, _, _] = x -> conv(1, out: C)",
    "one name in two groups": "cell f from x {\n node a[2] { t = x return t }\n"
    " node b[2] { t = a[index] return t }\n return concat(b)\n}",
    "group inside a group": "cell f from x {\n node a[2] {\n"
    "  node b[2] = sum(x, each earlier a -> relu, each earlier b -> bn)\n  return sum(b)\n }\n"
    " return sum(a)\n}",
    "last member reads the others": "cell f from x {\n"
    " node n[3] = sum(x, each earlier n -> relu)\n return n[2]\n}",
    "last member from the end": "cell f from x {\n"
    " node n[3] = sum(x, each earlier n -> relu)\n return n[-1]\n}",
    "group read at an open place": "cell f(k) from x {\n node n[3] = sum(x)\n return n[k]\n}",
    "group of an open size": "cell f(k) from x {\n node n[k] = sum(x)\n return n[0]\n}",
    "first member without a join of earlier ones": "cell f from x {\n"
    " node n[3] = (sum(earlier n) when index > 0 else x)\n return concat(n)\n}",
    "auxiliary reads": "network from x[3] to y[3] {\n h = x -> relu\n auxiliary h\n return x\n}",
    "condition reads": "op f from x {\n p = 3\n return x -> (relu when p > 2)\n}",
    "counters": "network(N) from x[3] to y[3] =\n"
    " x -> repeat N { linear(step + stage) at N // 2, 3: linear(stage) }",
    "`mean` is a word and a join": "op f from x = mean(x -> pool(mean, 3), x)",
    "output named like an input": "network from x[3] to x[3] = x",
    "names of words that are not reserved": "op f(per, edges, weight) from candidates = "
    "candidates -> conv(per, out: edges * weight)",
    "shared operations": "cell f(C) from x {\n shared W = linear(C)\n shared g = W -> relu\n"
    " return x -> g -> W\n}",
    "shared in members of two groups": "cell f from x {\n"
    " node a[2] { shared W = linear(3) return x -> W }\n"
    " node b[2] { shared W = linear(3) return x -> W }\n return sum(a, b)\n}",
    "shared read by an auxiliary": "network from x[3] to y[3] {\n shared W = linear(3)\n"
    " auxiliary x -> W\n return x\n}",
    "shared read by a tied layer": "network(V) from w[T] below V to y[T, V] {\n"
    " shared table = embedding(V, 4)\n return w -> table -> linear(V, tied: table)\n}",
    "shared as an argument": "op f(g) from x = x -> g\n"
    "op h from x {\n shared W = linear(3)\n return x -> f(W)\n}",
    "over a size of a pattern": "op f from x, h[3] = x + h\n"
    "network from x[T, 3] to y[T, 3] = x -> f over T",
    "over a size that is a parameter": "op f from x, h[3] = x + h\n"
    "network(T) from x[T, 3] to y[T, 3] = x -> f over T",
    "inputs that are not read": "op f from a, _ = a\nop g from _, b, _[c, _] = b -> linear(c)",
    "labels of a loop over operations": "op f(g) from x = x -> g\n"
    "set s = {f(g) for g in (relu, tanh) as g, gelu}",
    "labels of the inner loop": "op f(k, g) from x = x -> g -> conv(k)\n"
    "set s = {f(1, g) for k in (1, 3) for g in (relu, tanh) if k > 1 as g}",
    "split in a call and by an index": "op f from x = concat(split(x, 3)[1], split(x, 2))",
    "arithmetic of values": "op f from a, b = -a * 2 + 1 / (b - a)",
    "nothing": "",
}


@pytest.mark.parametrize("text", FINE.values(), ids=FINE.keys())
def test_fine(text: str) -> None:
    load_text("language 1\n" + text)


def test_one_unknown_name_is_reported_once_in_a_declaration() -> None:
    with pytest.raises(DartsError) as raised:
        load_text("language 1\nop f = g -> g -> g\nop h = g\n")
    assert [str(d.span) for d in raised.value.diagnostics] == ["<text>:2:8", "<text>:3:8"]


def test_misspelling_does_not_also_make_a_binding_unread() -> None:
    with pytest.raises(DartsError) as raised:
        load_text("language 1\nop f from x {\n value = x\n return valeu\n}\n")
    assert [d.message for d in raised.value.diagnostics] == ["nothing is called `valeu`"]


def test_what_is_shared_reads_for_those_who_read_it() -> None:
    """A chain of what nobody reads is reported at its end, once."""
    space = load_text(
        "language 1\ncell f from x, y {\n k = y -> relu\n shared W = linear(3)\n"
        " shared V = W -> relu\n return x\n}\n"
    )
    assert [d.message for d in space.warnings if d.code == "W0203"] == [
        "`k` never reaches the output",
        "`V` never reaches the output",
    ]


def test_many_loops_end() -> None:
    loops = " ".join(f"for a{i} in (1, 2, 3)" for i in range(40))
    with pytest.raises(DartsError, match="at most 1000 options"):
        load_text(f"language 1\nset s = {{conv(a0) {loops}}}\n")
