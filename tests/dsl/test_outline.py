"""The syntax tree as text."""

from __future__ import annotations

from dsl.outline import outline
from dsl.parse import parse
from dsl.source import Source

TEXT = """\
# A small op
language 1
import std

op f(k = 3) from x = x -> conv(k, out: 8) -> choose { sink none, relu as r }
profile search { alpha_betas = (0.5, 0.999) }
"""
TREE = """\
File(language = 1, comment = 'A small op')  # 2:1
    imports: Import(path = ('std',))  # 3:1
    declarations: OpDecl  # 5:1
        name: Name(name = 'f')  # 5:4
        parameters: Parameter(name = 'k')  # 5:6
            default: Number(value = 3)  # 5:10
        inputs: Input  # 5:18
            name: Name(name = 'x')  # 5:18
        body: Body  # 5:20
            result: Flow  # 5:22
                steps: Name(name = 'x')  # 5:22
                steps: Call  # 5:27
                    callee: Name(name = 'conv')  # 5:27
                    arguments: Argument  # 5:32
                        value: Name(name = 'k')  # 5:32
                    arguments: Argument(name = 'out')  # 5:35
                        value: Number(value = 8)  # 5:40
                steps: Choose(entangled = False)  # 5:46
                    options: SetExpr  # 5:53
                        items: Item(sink = True)  # 5:55
                            value: Name(name = 'none')  # 5:60
                        items: Item(sink = False, label = 'r')  # 5:66
                            value: Name(name = 'relu')  # 5:66
    declarations: ProfileDecl  # 6:1
        name: Name(name = 'search')  # 6:9
        settings: Setting(value = (0.5, 0.999))  # 6:18
            name: Name(name = 'alpha_betas')  # 6:18
"""


def test_every_node_has_its_line_and_place() -> None:
    assert outline(parse(Source("f.darts", TEXT))) == TREE
