"""What there is to draw of a cell kind in the IR, with all its candidates or with those chosen.

Values that the file names are drawn, operations stand between them. What is computed before any
decision is left out but for the values that the rest begins with. Layers beside a choice on its
edge are left out too: the label says what is decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from compiler.ir import Call, Choice, Inline, Join, Layer, Node, Region, Repeat, Scan, Select
from compiler.layers import NORMS
from compiler.pictures.graph import Box, Cell, CellBuilder, OptionSet, Role, set_names
from compiler.pictures.operations import OperationKind, kind_of, kind_of_nodes

Way = tuple[int, ...]
"""The fixed operations on the way from one drawn thing to another, by their numbers."""

Candidates = tuple[tuple[str, OperationKind], ...]
"""The labels of options, each with its kind."""

UNSEEN = NORMS | {
    "dropout", "drop_path", "identity", "crop", "pad", "shuffle", "flatten", "tokens", "as_image",
}  # fmt: skip
"""Layers that are no operation of their own in a picture."""


def cell_of(region: Region, chosen: Mapping[str, str] | None = None) -> Cell:
    """A kind as it is to be drawn: undecided, or with the option chosen for each decision kept."""
    return _Reading(region, chosen).cell()


class _Reading:
    def __init__(self, region: Region, chosen: Mapping[str, str] | None) -> None:
        self.region = region
        self.chosen = chosen
        self.builder = CellBuilder(region.name)
        self.inputs = [number for number, _ in region.inputs]
        self.open = self._open()
        self.gone = self._gone()
        self.named = {n for n, node in region.nodes() if node.bound} | set(self.inputs)
        self.boxes: dict[int, int] = {}
        """The boxes of values by their numbers."""
        self.choices: dict[int, int] = {}
        """The boxes of choices; one that has a name is a value as well."""
        self.kinds: dict[int, OperationKind] = {}

    def cell(self) -> Cell:
        for number in self._starts():
            self._add_value(number, Role.INPUT)
        sets = self._sets() if self.chosen is None else {}
        for number, node in self.region.nodes():
            if number in self.gone or number not in self.open:
                continue
            if isinstance(node, Choice):
                self.choices[number] = self.builder.add(self._operation(node, sets))
                self._link_operands(number)
            if number in self.named:
                self._link_value(number)
        self._add_outputs()
        return self.builder.finish()

    # -- which values there are

    def _open(self) -> set[int]:
        """The values that hang on a decision."""
        found: set[int] = set()
        for number, node in self.region.nodes():
            if isinstance(node, Choice) or found.intersection(node.operands):
                found.add(number)
        return found

    def _gone(self) -> set[int]:
        """The values on edges that are not kept, as in `compiler.specialise`."""
        gone: set[int] = set()
        for number, node in self.region.nodes():
            lost = [o in gone for o in node.operands]
            if isinstance(node, Choice) and self.chosen is not None:
                dropped = node.decision not in self.chosen
            elif isinstance(node, Join):
                dropped = bool(lost) and all(lost)
            else:
                dropped = any(lost)
            if dropped:
                gone.add(number)
        return gone

    def _starts(self) -> list[int]:
        """The fixed values that decisions, or what hangs on them, read; in order."""
        found: set[int] = set()
        reading = [number for number, _ in self.region.nodes() if number in self.open]
        ends = [o for number in reading for o in self.region.node(number).operands]
        waiting = [n for n in (*ends, *self.region.outputs) if n not in self.open]
        seen = set(waiting)
        while waiting:
            number = waiting.pop()
            if number in self.named:
                found.add(number)
                continue
            below = [o for o in self.region.node(number).operands if o not in seen]
            seen.update(below)
            waiting += below
        return sorted(found)

    def _add_value(self, number: int, role: Role) -> int:
        node = self.region.node(number)
        note = ""
        if role is Role.INPUT and number not in self.inputs:
            note = "from " + ", ".join(self.region.node(i).name for i in self._inputs_of(number))
        label = node.bound or node.name
        self.boxes[number] = self.builder.add(Box(role, label, note))
        return self.boxes[number]

    def _inputs_of(self, number: int) -> list[int]:
        seen, waiting = {number}, [number]
        while waiting:
            below = set(self.region.node(waiting.pop()).operands) - seen
            seen |= below
            waiting += below
        return [i for i in self.inputs if i in seen]

    def _add_outputs(self) -> None:
        outputs = self.region.outputs
        states = [node.name for _, node in self.region.state_inputs]
        for place, number in enumerate(outputs):
            node = self.region.node(number)
            how = node.how if isinstance(node, Join) and number not in self.boxes else ""
            label = f"output {states[place]}" if len(outputs) > 1 else "output"
            box = self.builder.add(Box(Role.OUTPUT, label, how))
            for end, _ in self._reached([number]):
                self.builder.link(end, box)

    # -- which links there are

    def _reached(self, numbers: Iterable[int]) -> Iterator[tuple[int, Way]]:
        """The boxes that values are or are made of, and the fixed operations on the way from each.

        Every value between is looked at once: of several ways, the first is told.
        """
        first: Way = ()
        waiting = [(number, first) for number in numbers][::-1]
        seen = {number for number, _ in waiting}
        while waiting:
            number, path = waiting.pop()
            box = self.boxes.get(number, self.choices.get(number))
            if box is not None:
                yield box, path
                continue
            node = self.region.node(number)
            if _names(node):
                path = (number, *path)
            below = [o for o in node.operands if o not in seen and o not in self.gone]
            seen.update(below)
            waiting += [(o, path) for o in reversed(below)]

    def _link_operands(self, number: int) -> None:
        for end, _ in self._reached(self.region.node(number).operands):
            self.builder.link(end, self.choices[number])

    def _link_value(self, number: int) -> None:
        """Adds a named value, linked to what it is made of; fixed operations get a box a way."""
        ways: dict[Way, list[int]] = {}
        for end, path in self._reached([number]):
            decided = self.builder.boxes[end].is_operation
            ways.setdefault(() if decided else path, []).append(end)
        box = self._add_value(number, Role.NODE)
        for path, ends in ways.items():
            head = box
            if path:
                head = self.builder.add(self._fixed(path))
                self.builder.link(head, box)
            for end in ends:
                self.builder.link(end, head)

    # -- operations

    def _fixed(self, path: Way) -> Box:
        nodes = [self.region.node(number) for number in path]
        names = [name for node in nodes for name in _names(node)]
        label = " · ".join(names if len(names) < 4 else [names[0], "…", names[-1]])
        return Box(Role.OPERATION, label, kind=kind_of_nodes(nodes))

    def _operation(self, node: Choice, sets: Mapping[Candidates, int]) -> Box:
        if self.chosen is None:
            number = sets[self._candidates(node)]
            candidates = self.builder.sets[number]
            several = len(candidates.options)
            label = f"{several} option{'s' * (several != 1)}"
            if len(self.builder.sets) > 1:
                label = candidates.name
            return Box(Role.OPERATION, label, options=number)
        label = self.chosen[node.decision]
        body = next(o.body for o in node.region.options if o.label == label)
        return Box(Role.OPERATION, label, kind=self._kind(body))

    def _candidates(self, node: Choice) -> Candidates:
        return tuple((o.label, self._kind(o.body)) for o in node.region.options)

    def _kind(self, body: Region) -> OperationKind:
        if id(body) not in self.kinds:
            self.kinds[id(body)] = kind_of(body)
        return self.kinds[id(body)]

    def _sets(self) -> dict[Candidates, int]:
        """The sets of candidates by what they hold, told apart by name; fills the cell's sets."""
        found: dict[Candidates, str] = {}
        for _, node in self.region.nodes():
            if isinstance(node, Choice):
                is_declared = not node.region.is_branch
                name = node.region.name if is_declared else "options"
                found.setdefault(self._candidates(node), name)
        names = set_names(list(found.values()))
        self.builder.sets = [
            OptionSet(name, options) for name, options in zip(names, found, strict=True)
        ]
        return {options: number for number, options in enumerate(found)}


def _names(node: Node) -> list[str]:
    """What a fixed operation is called; nothing for joins and layers that are none in a picture."""
    match node:
        case Layer(layer=layer):
            return [] if layer in UNSEEN else [layer]
        case Call(region=region) | Scan(region=region):
            return [region.name]
        case Inline(region=region):
            return [name for _, inner in region.nodes() for name in _names(inner)]
        case Select(then=then, otherwise=otherwise):
            first = [name for _, inner in then.nodes() for name in _names(inner)]
            return first or [name for _, inner in otherwise.nodes() for name in _names(inner)]
        case Repeat(steps=steps):
            return [name for step in steps for _, n in step.body.nodes() for name in _names(n)][:1]
    return []
