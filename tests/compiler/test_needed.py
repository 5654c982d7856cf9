"""What the outputs of a region need: zeros are found where they are sure, and nowhere else."""

from __future__ import annotations

import pytest
from support import compiled

from compiler.genotype import Genotype
from compiler.ir import Call, Layer, Region
from compiler.needed import Needed, Rules, Zeros, needed


def cell(body: str, given: str = "a, b", ops: str = "") -> Region:
    """A cell without choices whose inputs are images of four channels."""
    flows = ", ".join(["image"] * (given.count(",") + 1))
    program = compiled(f"""
        {ops}
        cell u from {given} {{
            {body}
        }}
        network from image[4, 8, 8] to class[2] =
            ({flows}) -> u -> global_pool(mean) -> linear(2)
    """).program
    return next(region for region in program.regions() if region.name == "u")


def layers(region: Region, found: Needed) -> list[str]:
    """The layers that are live, in the order of the program."""
    nodes = [node for number, node in region.nodes() if number in found.live]
    return [
        node.layer if isinstance(node, Layer) else node.region.name
        for node in nodes
        if isinstance(node, Layer | Call)
    ]


def live(body: str, given: str = "a, b", ops: str = "") -> list[str]:
    region = cell(body, given, ops)
    return layers(region, needed(region))


@pytest.mark.parametrize(
    "keeps",
    ["relu", "relu6", "gelu", "silu", "tanh", "mish", "square", "pool(mean, 3, stride: 1)",
     "pool(max, 3, stride: 1)", "conv(3)", "depthwise(3)", "conv(3, groups: 2)", "dropout(0.5)",
     "drop_path", "conv_transpose(3, stride: 1)", "shuffle(2) -> upsample(1)",
     "pad(1) -> crop(2)",
     "relu -> conv(1)", "sums", "doubles"],
)  # fmt: skip
def test_zeros_through_what_keeps_them_are_left_out_of_sums(keeps: str) -> None:
    ops = """
        op sums from x = x + (x -> relu -> conv(3))
        op doubles from x = x * 2 - (x / 3)
    """
    assert live(f"z = a -> zero\n return sum(z -> {keeps}, b -> conv(5))", ops=ops) == ["conv"]


@pytest.mark.parametrize(
    "shifts",
    ["bn", "bn(affine: no)", "sigmoid", "softplus", "conv(3, bias: yes)",
     "depthwise(3, bias: yes)", "conv_transpose(3, stride: 1, bias: yes)", "gaussian", "adds",
     "relu_conv_bn(3)", "divides"],
)  # fmt: skip
def test_what_makes_something_of_zeros_stays(shifts: str) -> None:
    ops = "op adds from x = x + 1\nop divides from x = 1 / x"
    found = live(f"z = a -> zero\n return sum(z -> {shifts}, b -> conv(5))", ops=ops)
    assert len(found) > 1 and "zero" in found


def test_a_sum_of_zeros_is_zeros() -> None:
    assert live("z = sum(a -> zero, b -> zero) -> conv(3)\n return sum(z, b -> conv(5))") == [
        "conv"
    ]


def test_a_sum_with_one_thing_in_it_is_that_thing() -> None:
    region = cell("y = b -> conv(5)\n z = a -> zero\n return sum(z, y, z)")
    found = needed(region)
    assert layers(region, found) == ["conv"]
    assert region.node(found.same[region.outputs[0]]).bound == "y"


def test_a_mean_counts_its_zeros_and_a_concat_shows_them() -> None:
    for how in ("mean", "concat"):
        assert live(f"return {how}(a -> zero, b -> conv(5))") == ["zero", "conv"]


def test_a_convolution_of_zeros_that_is_the_output_is_these_zeros() -> None:
    assert live("return a -> zero -> conv(3) -> relu", "a") == ["zero"]


def test_a_convolution_that_makes_another_shape_of_zeros_stays_where_it_is_read() -> None:
    assert live("return a -> zero -> conv(3, out: 6)", "a") == ["zero", "conv"]


def test_zeros_need_no_more_than_a_shape() -> None:
    """What is read for its shape alone need not be computed, where an earlier value has it."""
    assert live("return a -> conv(3) -> bn -> relu -> zero", "a") == ["zero"]
    assert live("return a -> conv(3, stride: 2) -> bn -> zero", "a") == ["conv", "zero"]


def test_what_nothing_reads_is_not_needed() -> None:
    assert live("y = a -> conv(3)\n return b -> conv(5)") == ["conv"]


def test_an_op_is_zeros_by_what_is_in_it() -> None:
    ops = """
        op nothing from x, y = x -> zero
        op linears from x, y = sum(x -> conv(3), y -> conv(5) -> relu)
        op normed from x, y = sum(x -> conv(3), y -> bn)
    """
    text = "z = a -> zero\n return sum(({given}) -> {op}, b -> conv(7))"
    assert live(text.format(given="a, b", op="nothing"), ops=ops) == ["conv"]
    assert live(text.format(given="z, z", op="linears"), ops=ops) == ["conv"]
    assert live(text.format(given="z, b", op="linears"), ops=ops) == ["zero", "linears", "conv"]
    assert live(text.format(given="z, z", op="normed"), ops=ops) == ["zero", "normed", "conv"]


def test_a_condition_is_zeros_where_both_of_its_sides_are() -> None:
    ops = """
        op either(C) from x = x -> (conv(3) when C > 2 else relu) -> tanh
        op one(C) from x = x -> (conv(3) when C > 2 else bn) -> tanh
    """
    text = "z = a -> zero\n return sum(z -> {op}(3), b -> conv(5))"
    assert live(text.format(op="either"), ops=ops) == ["conv"]
    assert live(text.format(op="one"), ops=ops) == ["zero", "one", "conv"]


def test_cells_may_give_anything() -> None:
    program = compiled("""
        cell nothing from x { y = x -> conv(3)  return y -> zero }
        cell u from x { return sum(x -> nothing, x -> conv(5)) }
        network from image[4, 8, 8] to out[4, 8, 8] = image -> u
    """).program
    region = next(r for r in program.regions() if r.name == "u")
    assert layers(region, needed(region)) == ["nothing", "conv"]


def test_the_auxiliary_head_is_told_apart() -> None:
    text = """
        network from image[4, 8, 8] to class[2] {
            y = image -> conv(3)
            auxiliary y -> flatten -> linear(2)
            return y -> global_pool(mean) -> linear(2)
        }
        profile final { auxiliary_weight = 0.4 }
    """
    network = compiled(text, Genotype({})).program.network
    found = needed(network)
    assert [network.node(number).layer for number in sorted(found.heads)] == ["flatten", "linear"]
    assert found.heads == network.heads()
    assert len(found.live) == len(network.values)


def test_a_rule_is_found_once() -> None:
    region = cell("y = a -> twice\n return y -> twice", "a", "op twice from x = x + (x -> conv(3))")
    rules = Rules()
    found = [rules.of(node) for _, node in region.nodes() if isinstance(node, Call)]
    assert found == [Zeros.KEPT, Zeros.KEPT]
    assert list(rules.known.values()) == [Zeros.KEPT]
