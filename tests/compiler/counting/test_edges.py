"""What goes with an edge that is not kept, and what stays and is not computed."""

from __future__ import annotations

from support import compiled

from compiler.counting.edges import Edges, before, droppable, idle, there
from compiler.ir import Choice, Layer, Region

EDGES = """
    cell u from x {{
        y = x -> conv(3)
        node n[1] = sum(each (x, y) -> conv(1) -> choose {{ conv(5), skip }} -> conv(7) -> bn)
        {keep}
        return n[-1]
    }}
    network from image[2, 4, 4] to out[2, 4, 4] = image -> u
"""
KEEP = "keep 1 edge per node by weight"
X, Y = "n[0] from x", "n[0] from y"


def kind(text: str) -> Region:
    (found,) = compiled(text).program.kinds
    return found


def convolutions(region: Region, edges: Edges) -> dict[int, list[set[str]]]:
    """The edges of convolutions, by the sizes of their windows."""
    found: dict[int, list[set[str]]] = {}
    for number, node in region.nodes():
        if isinstance(node, Layer) and node.layer == "conv":
            size = dict(node.arguments)["k"].value
            found.setdefault(size, []).append(set(edges.get(number, ())))
    return found


def test_edges_may_be_dropped_where_a_node_keeps_some() -> None:
    assert droppable(kind(EDGES.format(keep=KEEP))) == {X, Y}
    assert droppable(kind(EDGES.format(keep=KEEP.replace("1 edge", "2 edges")))) == set()
    assert droppable(kind(EDGES.format(keep=""))) == set()


def test_what_follows_a_choice_is_there_with_its_edge() -> None:
    region = kind(EDGES.format(keep=KEEP))
    found = there(region)
    assert convolutions(region, found) == {3: [set()], 1: [set(), set()], 7: [{X}, {Y}]}
    for number, node in region.nodes():
        if isinstance(node, Choice):
            assert found[number] == {node.decision}
    assert found[region.outputs[0]] == set()


def test_what_stands_before_a_choice_is_run_with_its_edge() -> None:
    region = kind(EDGES.format(keep=KEEP))
    found = before(region)
    assert convolutions(region, found) == {3: [set()], 1: [{X}, {Y}], 7: [set(), set()]}
    assert len(found) == 2
    assert idle(found, [X, Y]) == set() and idle(found, []) == found.keys()
    (unread,) = idle(found, [X])
    assert found[unread] == {Y}


def test_all_stays_where_all_is_kept() -> None:
    region = kind(EDGES.format(keep=""))
    assert not any(there(region).values())
    assert before(region) == {}
