"""What is drawn of a kind: its values, its edges, and what it is left with after deciding."""

from __future__ import annotations

from drawn_cells import RECURRENT, edges, joined
from reference.darts import DARTS_V2 as CELL
from support import CIFAR, DARTS_V2, PROGRAMS, RNN, SPACES, compiled

from compiler.compile import compile_space
from compiler.fitting import resolve
from compiler.genotype import Genotype
from compiler.ir import Region
from compiler.pictures.from_space import cell_of
from compiler.pictures.graph import Cell, Role
from compiler.pictures.operations import OperationKind


def kinds(text: str) -> list[Region]:
    return compiled(text).program.kinds


def cell(body: str, source: str = "a, b", given: str = "image, image") -> Cell:
    return cell_of(only(body, source, given))


def only(body: str, source: str = "a, b", given: str = "image, image") -> Region:
    (kind,) = kinds(f"""
        set few = {{ skip, conv(3) }}
        set many = {{ sink none, skip, sep_conv(3), conv(3) }}
        cell u from {source} {{ {body} }}
        network from image[4, 8, 8] to class[2] =
            ({given}) -> u -> global_pool(mean) -> linear(2)
    """)
    return kind


def roles(drawn: Cell, role: Role) -> list[tuple[str, str]]:
    return [(box.label, box.note) for box in drawn.boxes if box.role is role]


def test_the_convolutional_cells() -> None:
    for kind in compile_space(CIFAR).program.kinds:
        drawn = cell_of(kind)
        values = ["a", "b", "n[0]", "n[1]", "n[2]", "n[3]"]
        wanted = {(values[j], "8 options", values[i]) for i in range(2, 6) for j in range(i)}
        assert edges(drawn) == wanted and len(wanted) == 14
        assert roles(drawn, Role.INPUT) == [("a", "from before"), ("b", "from last")]
        assert roles(drawn, Role.OUTPUT) == [("output", "concat")]
        assert joined(drawn) == {(f"n[{i}]", "output") for i in range(4)}
        (candidates,) = drawn.sets
        assert candidates.name == "candidates"
        assert candidates.options[0] == ("none", OperationKind.ZEROS)


def test_the_convolutional_genotype() -> None:
    """Against the pairs of the paper: two edges into each node in turn."""
    program_kinds = compile_space(CIFAR).program.kinds
    chosen = resolve(Genotype.parse(DARTS_V2), program_kinds)
    values = ["a", "b", "n[0]", "n[1]", "n[2]", "n[3]"]
    for kind in program_kinds:
        drawn = cell_of(kind, chosen[kind.name])
        wanted = {
            (values[source], option, values[2 + i // 2])
            for i, (option, source) in enumerate(CELL[kind.name])
        }
        assert edges(drawn) == wanted
        assert joined(drawn) == {(f"n[{i}]", "output") for i in range(4)}
        assert drawn.sets == ()


def test_the_recurrent_space_and_its_genotype() -> None:
    (kind,) = compile_space(RNN).program.kinds
    drawn = cell_of(kind)
    values = ["start", *(f"s[{i}]" for i in range(8))]
    wanted = {(values[j], "5 options", values[i]) for i in range(1, 9) for j in range(i)}
    assert edges(drawn) == wanted
    assert roles(drawn, Role.INPUT) == [("start", "from x, h")]
    assert roles(drawn, Role.OUTPUT) == [("output", "mean")]
    chosen = resolve(Genotype.parse(RECURRENT), [kind])["recurrent"]
    assert edges(cell_of(kind, chosen)) == {
        ("start", "sigmoid", "s[0]"), ("s[0]", "relu", "s[1]"), ("s[0]", "relu", "s[2]"),
        ("s[0]", "identity", "s[3]"), ("s[1]", "tanh", "s[4]"), ("s[4]", "sigmoid", "s[5]"),
        ("s[2]", "tanh", "s[6]"), ("s[4]", "relu", "s[7]"),
    }  # fmt: skip


def test_a_cell_that_gives_back_its_last_node() -> None:
    (kind,) = compile_space(SPACES / "nas_bench_201.darts").program.kinds
    drawn = cell_of(kind)
    assert len(edges(drawn)) == 6
    (output,) = [i for i, box in enumerate(drawn.boxes) if box.role is Role.OUTPUT]
    assert drawn.boxes[output].note == ""
    assert len(drawn.tails[output]) == 1


def test_sets_that_differ_are_named() -> None:
    drawn = cell("""
        n = sum(a -> choose few, b -> choose many)
        m = n -> choose { skip, bn }
        k = m -> choose { skip, relu }
        return k -> choose few
    """)
    assert edges(drawn) == {
        ("a", "few", "n"), ("b", "many", "n"), ("n", "options 1", "m"), ("m", "options 2", "k"),
        ("k", "few", "output"),
    }  # fmt: skip
    assert [s.name for s in drawn.sets] == ["few", "many", "options 1", "options 2"]


def test_fixed_operations_between_values_are_drawn() -> None:
    drawn = cell("""
        n = a -> choose few
        y = n -> conv(3) -> bn -> relu
        z = concat(y, n) -> conv(1, out: 4)
        w = y -> bn
        return sum(z, b)
    """)
    assert edges(drawn) == {
        ("a", "2 options", "n"), ("n", "conv · relu", "y"), ("y", "conv", "z"), ("n", "conv", "z"),
    }  # fmt: skip
    assert joined(drawn) == {("y", "w"), ("z", "output"), ("b", "output")}
    fixed = {box.label: box.kind for box in drawn.boxes if box.is_operation and box.kind}
    assert fixed["conv · relu"] is OperationKind.CONVOLUTION


def test_what_comes_before_the_first_decision_is_a_note() -> None:
    drawn = cell("x = a -> conv(1)  y = x + b  return y -> relu -> choose few")
    assert roles(drawn, Role.INPUT) == [("y", "from a, b")]
    assert edges(drawn) == {("y", "2 options", "output")}


def test_a_decision_that_follows_another() -> None:
    drawn = cell("return a -> choose few -> choose many")
    assert edges(drawn) == {("a", "few", "many"), ("few", "many", "output")}


def test_a_decision_that_reads_several_values_has_one_box() -> None:
    (program,) = [path for path in PROGRAMS if path.stem == "reckoning"]
    drawn = cell_of(compile_space(program).program.kinds[0])
    (box,) = [i for i, box in enumerate(drawn.boxes) if box.label == "options 1"]
    assert [drawn.boxes[tail].label for tail in drawn.tails[box]] == ["a", "b"]
    assert [drawn.boxes[head].label for head in drawn.heads[box]] == ["c"]


def test_every_state_has_an_output() -> None:
    (program,) = [path for path in PROGRAMS if path.stem == "lstm"]
    drawn = cell_of(compile_space(program).program.kinds[0])
    assert [label for label, _ in roles(drawn, Role.OUTPUT)] == ["output h", "output c"]
    assert {("s[0]", "output h"), ("t", "output h"), ("new", "output c")} == joined(drawn)


def test_edges_not_kept_are_not_drawn() -> None:
    kind = only("""
        node n[2] = sum(each (a, b, earlier n) -> choose few)
        keep 1 edge per node by weight
        return concat(n)
    """)
    chosen = {"n[0] from b": "skip", "n[1] from n[0]": "conv_3"}
    drawn = cell_of(kind, chosen)
    assert edges(drawn) == {("b", "skip", "n[0]"), ("n[0]", "conv_3", "n[1]")}
    assert [label for label, _ in roles(drawn, Role.INPUT)] == ["a", "b"]
