"""A file that extends another is that file, but for what it declares anew."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from random_spaces import random_space

from compiler.compile import specialised
from compiler.dump import dump
from dsl import DartsError, Space, ast, load
from dsl.flatten import flattened
from dsl.layout import printed
from dsl.limits import MAX_FILES, MAX_IMPORTS, MAX_PROFILES, MAX_WORDS
from dsl.parse import parse
from dsl.source import Source

BASE = """
import std

set options = { skip, conv(3) }
op head = global_pool(mean) -> linear(10)
cell unit(C) from x {
    a = x -> project(C)
    return a -> choose options
}
cell other(C) = unit(C)
network(C) from image[3, 8, 8] to class[10] = image -> unit(C) -> other(2 * C) -> head
profile search { C = 4  epochs = 3 }
profile final { C = 8 }
profile short = search { epochs = 1 }
"""


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.darts").write_text(f"language 1\n{text}", encoding="utf-8")


def extended(folder: Path, text: str, **others: str) -> Space:
    write(folder, **{"base": BASE, **others}, main=f"extend base\n{text}")
    return load(folder / "main.darts")


def faults(folder: Path) -> list[tuple[str, str | None]]:
    """The codes of what is wrong with a file `main`, each with the file that is told."""
    with pytest.raises(DartsError) as raised:
        load(folder / "main.darts")
    return [(d.code, d.span and Path(d.span.source.name).stem) for d in raised.value.diagnostics]


def labels(space: Space) -> dict[str, tuple[str, ...]]:
    """What every kind of cell chooses from."""
    kinds = specialised(space)[1].kinds
    return {kind.name: kind.decisions[0].selectable for kind in kinds}


def text_of(space: Space) -> str:
    """The intermediate form of the search network, without the places."""
    return "\n".join(line.split("  # ")[0] for line in dump(specialised(space)[1]).splitlines()[1:])


# ---- what it is ----------------------------------------------------------------------------------


def test_nothing_anew_is_the_same_space(tmp_path: Path) -> None:
    space = extended(tmp_path, "")
    assert text_of(space) == text_of(load(tmp_path / "base.darts"))
    assert (space.name, space.source.path) == ("main", tmp_path / "main.darts")
    assert printed(flattened(space)) == printed(flattened(load(tmp_path / "base.darts")))


def test_what_the_base_uses_is_bound_late(tmp_path: Path) -> None:
    """Also where a cell of the base stands for another one."""
    space = extended(tmp_path, "set options = { skip, sep_conv(3), conv(5) }\n")
    assert labels(space) == dict.fromkeys(("unit", "other"), ("skip", "sep_conv_3", "conv_5"))
    assert space.warnings == ()


def test_the_imports_of_the_base_are_seen_and_its_own_files_see_nothing_new(tmp_path: Path) -> None:
    """`a` is a value in the base, and an op here; the option keeps its name in one file."""
    space = extended(tmp_path, "op a = sep_conv(3) -> norm\nset options = { skip, a }\n")
    assert labels(space)["unit"] == ("skip", "a")
    (tmp_path / "one.darts").write_text(printed(flattened(space)), encoding="utf-8")
    assert labels(load(tmp_path / "one.darts")) == labels(space)


def test_the_order_is_that_of_the_base(tmp_path: Path) -> None:
    """Alphas and genotypes follow it: `other`, declared anew, comes after `unit` as before."""
    space = extended(
        tmp_path, "cell other(C) from x = x -> choose { relu, tanh } -> conv(1, out: C)\n"
    )
    assert list(labels(space)) == ["unit", "other"]


def test_a_network_anew_comes_with_the_profiles_of_the_base(tmp_path: Path) -> None:
    text = "network(C) from image[3, 4, 4] to class[10] = image -> unit(C) -> head\n"
    space = extended(tmp_path, text)
    assert list(labels(space)) == ["unit"]
    assert {name: p.entries["C"].value for name, p in space.profiles.items()} == {
        "search": 4, "final": 8, "short": 4,
    }  # fmt: skip


def test_profiles(tmp_path: Path) -> None:
    """One that is declared anew replaces the other, also where others derive from it."""
    text = "profile search { C = 2  batch = 5 }\nprofile long = final { epochs = 9 }\n"
    found = extended(tmp_path, text).profiles
    assert {n: {k: e.value for k, e in p.entries.items()} for n, p in found.items()} == {
        "search": {"C": 2, "batch": 5},
        "final": {"C": 8},
        "short": {"C": 2, "batch": 5, "epochs": 1},
        "long": {"C": 8, "epochs": 9},
    }
    assert [p.phase for p in found.values()] == ["search", "final", "search", "final"]


def test_a_chain(tmp_path: Path) -> None:
    """The last to declare something counts for all below, and adds to what is between."""
    write(tmp_path, base=BASE, middle="extend base\nop f = conv(5)\nset options = { skip, f }\n")
    write(tmp_path, main="extend middle\nop f = relu -> conv(1)\nprofile search { C = 6 }\n")
    space = load(tmp_path / "main.darts")
    assert labels(space)["unit"] == ("skip", "f")
    one, other = specialised(space)[2].weights, specialised(load(tmp_path / "middle.darts"))[2]
    # `project(C)`, then `f`, twice, once of twice the width, and the head
    assert one == sum((3 * 6 + 6 * 6, 6 * 12 + 12 * 12, 12 * 10 + 10))
    assert other.weights == sum((3 * 4 + 25 * 4 * 4, 4 * 8 + 25 * 8 * 8, 8 * 10 + 10))


def test_an_import_of_what_extends_brings_all_of_it(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, middle="extend base\nset options = { relu, tanh }\n")
    network = "network(C = 2) from image[3, 8, 8] to class[10] = image -> unit(C) -> head\n"
    write(tmp_path, main=f"import middle\n{network}")
    space = load(tmp_path / "main.darts")
    assert labels(space) == {"unit": ("relu", "tanh")}
    assert space.profiles == {}


def test_a_file_that_is_imported_too_keeps_its_own_meaning(tmp_path: Path) -> None:
    """`side` imports what `main` extends: there, nothing was declared anew."""
    text = "import side\nextend base\nset options = { relu, tanh }\n"
    network = "network(C) from image[3, 8, 8] to class[10] = image -> unit(C) -> mine(C) -> head\n"
    write(tmp_path, base=BASE, side="import base\ncell mine(C) = unit(C)\n", main=text + network)
    space = load(tmp_path / "main.darts")
    assert labels(space) == {"unit": ("relu", "tanh"), "mine": ("skip", "conv_3")}


@pytest.mark.parametrize("number", range(40))
def test_random_spaces(number: int, tmp_path: Path) -> None:
    """Some declarations are others in the base, and declared anew: then all is as in one file."""
    text = random_space(number)
    file = parse(Source("text", text))
    draw, base, anew = Random(number), text, []
    for node in reversed(file.declarations):
        if draw.random() < 0.5:
            anew.insert(0, node.span.text)
            base = base[: node.span.start] + changed(node) + base[node.span.end :]
    head = text[: file.declarations[0].span.start].replace("language 1\n", "")
    (tmp_path / "base.darts").write_text(base, encoding="utf-8")
    if file.extends is not None:  # what the base extends, it extends for the other too
        head = ""
    write(tmp_path, main="\n".join([head, "extend base", *anew]))
    (tmp_path / "one.darts").write_text(text, encoding="utf-8")
    one, two = load(tmp_path / "one.darts"), load(tmp_path / "main.darts")
    assert text_of(one) == text_of(two)
    assert printed(flattened(one)).split("\n", 2)[2] == printed(flattened(two)).split("\n", 2)[2]


def changed(node: ast.Declaration) -> str:
    """Another declaration of the same name, kind and inputs."""
    match node:
        case ast.SetDecl():
            return f"set {node.name.name} = {{ relu }}"
        case ast.ProfileDecl():
            return f"profile {node.name.name} {{}}"
        case ast.NetworkDecl():
            return "network from x[1] to y[1] = x"
    word = "op" if isinstance(node, ast.OpDecl) else "cell"
    inputs = ", ".join(f"x{i}" for i in range(len(node.inputs or ())))
    if node.inputs is None:
        return f"{word} {node.name.name} = {node.body.result.span.text}"
    return f"{word} {node.name.name} from {inputs} = sum({inputs})"


# ---- whose fault it is ---------------------------------------------------------------------------


def test_faults_of_the_base_stay_there(tmp_path: Path) -> None:
    broken = BASE.replace("project(C)", "projekt(C)")
    write(tmp_path, base=broken, main="extend base\nset options = { skip, conv(3, 4) }\n")
    assert faults(tmp_path) == [("E0201", "base"), ("E0303", "main")]


def test_faults_of_the_middle_are_told_there(tmp_path: Path) -> None:
    """`middle` declares a head that its base cannot use, whoever extends it."""
    write(tmp_path, base=BASE, middle="extend base\nop head(k) = conv(k)\n")
    write(tmp_path, main="extend middle\nprofile search { C = 2 }\n")
    assert faults(tmp_path) == [("E0302", "middle")]


def test_faults_of_profiles_are_told_by_the_file_that_makes_them(tmp_path: Path) -> None:
    network = "network(D) from image[3, 4, 4] to class[10] = image -> conv(3, out: D) -> head\n"
    write(tmp_path, base=BASE, middle=f"extend base\n{network}")
    write(tmp_path, main="extend middle\nprofile tiny { D = 1 }\n")
    assert set(faults(tmp_path)) == {("E0706", "middle"), ("E0707", "middle")}


def test_many_faults_in_many_files_take_no_time(tmp_path: Path) -> None:
    """Every file of a chain is looked at once, however much is wrong with it."""
    network = (
        "network({0}{1}) from x[1] to y[1] = x -> conv({0}{1})\nprofile p{1} {{ q = 1  r = 1 }}\n"
    )
    write(tmp_path, f0="op a = relu\n")
    for i in range(1, MAX_IMPORTS):
        write(tmp_path, **{f"f{i}": f"extend f{i - 1}\n" + network.format("w", i)})
    write(tmp_path, main=f"extend f{MAX_IMPORTS - 1}\n")
    found = faults(tmp_path)
    assert found.count(("E0706", f"f{MAX_IMPORTS - 1}")) == 2
    assert {code for code, _ in found} == {"E0706"}


# ---- limits --------------------------------------------------------------------------------------


def test_a_link_must_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    write(tmp_path, secret="op f = relu\n")
    write(inside, main="extend secret\n")
    (inside / "secret.darts").symlink_to(tmp_path / "secret.darts")
    assert faults(inside) == [("E0108", "main")]


def test_a_file_that_is_read_as_two_counts_twice(tmp_path: Path) -> None:
    names = [f"f{i}" for i in range(MAX_FILES // 2)]
    for i, name in enumerate(names):
        write(tmp_path, base="op a = relu\n", **{name: f"extend base\nop g{i} = a\n"})
    write(tmp_path, main="".join(f"import {name}\n" for name in names))
    assert ("E0103", names[-1]) in faults(tmp_path)


def test_a_chain_that_is_too_long(tmp_path: Path) -> None:
    for i in range(MAX_IMPORTS + 1):
        write(tmp_path, **{f"f{i}": f"extend f{i + 1}\n"})
    write(tmp_path, **{f"f{MAX_IMPORTS + 1}": "", "main": "extend f0\n"})
    assert [code for code, _ in faults(tmp_path)] == ["E0103"]


def test_too_many_words_in_all(tmp_path: Path) -> None:
    words = "op a{} = relu\n" * (MAX_WORDS // 8)
    numbered = "".join(words.format(*range(MAX_WORDS // 8)))
    write(tmp_path, base=numbered, main="extend base\n" + numbered)
    assert ("E0103", "main") in faults(tmp_path)


def test_too_many_profiles_in_all(tmp_path: Path) -> None:
    profiles = ["".join(f"profile {name}{i} {{}}\n" for i in range(MAX_PROFILES)) for name in "ab"]
    write(tmp_path, base=profiles[0], main="extend base\n" + profiles[1])
    assert faults(tmp_path) == [("E0103", "main")]


def test_a_file_below_imports_what_extends_it(tmp_path: Path) -> None:
    write(tmp_path, base="import side\nop a = relu\n", side="import base\nop b = tanh\n")
    write(tmp_path, main="extend base\n")
    assert faults(tmp_path) == [("E0109", "side")]
