"""What `check` finds and what `describe` says."""

from __future__ import annotations

import pytest
from costly_spaces import GENERAL
from support import CIFAR, PROGRAMS, SPACES, space

from compiler.describe import check, describe
from dsl import DartsError, load, load_text


def test_the_paper_s_space_in_words() -> None:
    assert list(describe(load(CIFAR), None, {}).lines()) == [
        "network   image[3, 32, 32] -> class[10]",
        "cell      normal from before, last: 14 edges into 4 nodes, 2 kept per node by weight",
        "cell      reduce from before, last: 14 edges into 4 nodes, 2 kept per node by weight",
        "choose    sink none, max_pool_3x3, avg_pool_3x3, skip_connect, sep_conv_3x3, "
        "sep_conv_5x5, dil_conv_3x3, dil_conv_5x5",
        f"describes {180**2 * 49**8:,} architectures = {180 * 49**4:,} normal x "
        f"{180 * 49**4:,} reduce",
        "supernet  1,930,618 weights in profile `search`",
    ]


def test_other_decisions_in_words() -> None:
    def told(name: str) -> list[str]:
        return list(describe(space(GENERAL[name]), None, {}).lines())[1:-2]

    assert told("several") == [
        "cell      u from x: 4 decisions",
        "choose    2 of p, a, q",
        "choose    1..2 of x, s above 0.5",
        "choose    2 of x, a, x (2)",
        "choose    1..2 of conv_3, conv_1, skip above 0.4",
    ]
    assert told("within")[:2] == [
        "cell      motif from x: 1 decision",
        "cell      u from x: 1 edge into 1 node, 1 decision, 4 decisions within options",
    ]
    assert told("depth") == [
        "network   network from image: 4 decisions, 4 decisions within options",
        "choose    4, 6", "choose    1, 2, 3", "choose    1, 2", "choose    2, 3",
    ]  # fmt: skip
    kept = [told(name)[0].partition(": ")[2] for name in ("in_all", "all_above", "above")]
    assert kept == [
        "9 edges into 3 nodes, 5 kept in all by weight",
        "5 edges into 2 nodes, 4 kept in all by weight above 0.3",
        "5 edges into 2 nodes, kept by weight above 0.3",
    ]
    assert told("candidates")[0].endswith("nodes, 2 candidates kept per node by alpha")


def test_a_profile_and_overrides_change_the_numbers() -> None:
    demo = describe(load(CIFAR), "demo", {"size": 8, "channels": 1})
    assert demo.inputs == "image[1, 8, 8]"
    assert demo.profile == "demo"
    assert demo.weights < 100_000


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_programs_check_and_describe(path) -> None:
    check(load(path))
    assert all(list(describe(load(path), None, {}).lines()))


@pytest.mark.parametrize("path", sorted(SPACES.glob("*.darts")), ids=lambda path: path.stem)
def test_shipped_spaces_give_no_warning(path) -> None:
    assert check(load(path)) == ()


def test_what_is_so_in_some_profiles_is_no_warning() -> None:
    text = """
        cell c(k) from x, y {{
            node n[2] = sum(each (x, y) -> choose {{ conv(k), conv(3) as three, skip if k > 1 }})
            return sum(n)
        }}
        network(k) from image[3, 8, 8] to class[2] {{
            a = image -> conv(3)
            return (a, a) -> c(k) -> flatten -> linear(2)
        }}
        profile search {{ k = 3 }}
        profile final {{ k = 3 }}
        profile other = search {{ k = {} }}
    """
    assert [d.code for d in check(space(text.format(3)))] == ["W0603"]
    assert check(space(text.format(1))) == ()


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        ("choose { x, y }", []),
        ("choose { x, y, x as again }", ["W0603"]),
        ("x -> repeat choose entangled { 1, 2 } { relu -> conv(3) }", []),
        ("x -> conv(3, out: choose entangled { 2, 3 } * choose entangled { 2, 4 }) -> conv(1)", []),
    ],
)
def test_values_and_numbers_are_told_apart(options: str, codes: list[str]) -> None:
    text = f"""
        cell c from x {{ y = x -> relu  return sum(x, y, {options} -> conv(1, out: 3)) }}
        network from image[3, 8, 8] to out[3, 8, 8] = image -> c
    """
    found = check(load_text(f"language 1\n{text}"))
    assert [d.code for d in found] == codes


def test_every_profile_is_checked() -> None:
    text = """
        network(C) from image[3, 8, 8] to class[2] = image -> conv(3, out: C / 2) -> flatten
            -> linear(2)
        profile search { C = 4 }
        profile final { C = 4 }
        profile odd { C = 5 }
    """
    with pytest.raises(DartsError) as raised:
        check(space(text))
    (found,) = raised.value.diagnostics
    assert found.message == "5 / 2 leaves a remainder (`C` is 5 in profile `odd`)"
    check(space(text.replace("C = 5", "C = 6")))


def test_a_file_without_a_network_checks() -> None:
    check(space("op f = relu"))


def test_numbers_that_are_chosen_are_no_equal_options() -> None:
    text = """
        network from image[2, 8, 8] to class[2] {
            e = choose entangled {2, 4}  r = choose entangled {1, 2}
            y = image -> repeat choose entangled {1, 2, 3} { conv(3) -> relu }
            return y -> conv(1, out: r * e) -> bn -> flatten -> linear(2)
        }
    """
    assert [d.code for d in check(space(text))] == ["W0101"]
