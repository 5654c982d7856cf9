"""What a choice shows in a picture: which of its options, reading what, under which label.

An option may be a value among others, which is no operation; it may decide itself; and a number is
an option of the layer, or the operation, that is made with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from compiler.decision import holds, winners
from compiler.expr import opens
from compiler.ir import (
    Call,
    Choice,
    Inline,
    Input,
    Layer,
    Node,
    Option,
    Region,
    Repeat,
    Scan,
    Select,
)
from compiler.layers import NORMS

UNSEEN = NORMS | {
    "dropout", "drop_path", "identity", "crop", "pad", "shuffle", "flatten", "tokens", "as_image",
    "narrow",
}  # fmt: skip
"""Layers that are no operation of their own in a picture."""
BETWEEN = " · "


class Deciding:
    """The choices of a region, undecided where `chosen` is None."""

    def __init__(self, region: Region, chosen: Mapping[str, str] | None) -> None:
        self.region = region
        self.chosen = chosen
        self.numbers = {decision.path for decision in region.decisions if decision.numbers}
        self.outer = {
            id(node)
            for _, node in region.nodes()
            if isinstance(node, Choice) and node.decision in self.numbers
        }
        """Choices of numbers that stand in no other."""

    def is_there(self, node: Node) -> bool:
        """Whether what a value stands under has come out so."""
        return self.chosen is None or holds(node.under, self.chosen)

    def is_slice(self, choice: Choice) -> bool:
        """Whether it only cuts a value to a width that an earlier layer was given."""
        if choice.decision not in self.numbers or len(choice.operands) > 1 or self.made(choice):
            return False
        options = choice.region.options
        if any(names_in(option.body) for option in options):
            return False
        return all(self.is_slice(node) for option in options for node in inner(option))

    def made(self, choice: Choice) -> list[str]:
        """The layer before a choice of its width, if one is."""
        if id(choice) not in self.outer or len(choice.operands) > 1:
            return []
        return names(self.before(choice)) if self._is_open(self.before(choice)) else []

    def before(self, choice: Choice) -> Node:
        before: Node = self.region.node(choice.operands[0])
        return before

    def _is_open(self, node: Node) -> bool:
        return isinstance(node, Layer) and any(opens(value) for _, value in node.arguments)

    def selected(self, choice: Choice) -> list[Option]:
        """The options that are left."""
        if self.chosen is None:
            return list(choice.region.options)
        left = winners(self.chosen.get(choice.decision, ""))
        return [option for option in choice.region.options if option.label in left]

    def is_value(self, choice: Choice, option: Option) -> bool:
        """Whether an option is one of several values, as it is."""
        return len(choice.operands) > 1 and isinstance(option.body.output, Input)

    def read(self, choice: Choice, option: Option) -> list[int]:
        """The values that an option reads, of those that flow into its choice."""
        inputs = [number for number, _ in option.body.inputs]
        used = self._used(option.body)
        pairs = zip(inputs, choice.operands, strict=True)
        return [operand for number, operand in pairs if number in used]

    def _used(self, body: Region) -> set[int]:
        used: set[int] = set()
        waiting = list(body.outputs)
        while waiting:
            number = waiting.pop()
            if number in used:
                continue
            used.add(number)
            node = body.node(number)
            if isinstance(node, Choice):
                waiting += [o for option in self.selected(node) for o in self.read(node, option)]
            else:
                waiting += node.operands
        return used

    def label(self, choice: Choice, option: Option) -> str:
        """An option that was chosen, with what was decided in it.

        Of what is made of one of several values, that shows by its link.
        """
        if choice.decision in self.numbers:
            own, numbers = self._numbered(choice, option)
            return " ".join([*own[:1], *numbers])
        found = [
            self.label(node, each)
            for node in inner(option)
            for each in self.selected(node)
            if not self.is_value(node, each)
        ]
        if len(choice.operands) > 1:
            values = (self.region.node(number) for number in choice.operands)
            is_named = any(option.label == node.bound for node in values)
            found = found or names_in(option.body) * is_named
            return BETWEEN.join(found or [option.label])
        return BETWEEN.join([option.label, *found])

    def _numbered(self, choice: Choice, option: Option) -> tuple[list[str], list[str]]:
        """What is made with a number that was chosen, and that number with those chosen in it."""
        own, numbers = self.made(choice) or names_in(option.body), [option.label]
        for node in inner(option):
            for each in self.selected(node) if node.decision in self.numbers else ():
                made, more = self._numbered(node, each)
                own, numbers = own or made, [*numbers, *more]
        return own, numbers


def names(node: Node) -> list[str]:
    """What a fixed operation is called; nothing for joins and layers that are none in a picture."""
    match node:
        case Layer(layer=layer):
            return [] if layer in UNSEEN else [layer]
        case Call(region=region) | Scan(region=region):
            return [region.name]
        case Inline(region=region):
            return names_in(region)
        case Select(then=then, otherwise=otherwise):
            return names_in(then) or names_in(otherwise)
        case Repeat(steps=steps):
            return [name for step in steps for name in names_in(step.body)][:1]
    return []


def names_in(region: Region) -> list[str]:
    return [name for _, node in region.nodes() for name in names(node)]


def inner(option: Option) -> Iterator[Choice]:
    """The choices within an option, but for those within theirs."""
    return (node for _, node in option.body.nodes() if isinstance(node, Choice))


def inner_choices(choice: Choice) -> Iterator[Choice]:
    """The choices within the options of one, and within theirs."""
    for option in choice.region.options:
        for node in inner(option):
            yield node
            yield from inner_choices(node)
