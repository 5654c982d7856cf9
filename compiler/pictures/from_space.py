"""What there is to draw of a cell kind in the IR, with all its candidates or with those chosen.

Values that the file names are drawn, operations stand between them. What is computed before any
decision is left out but for the values that the rest begins with. Layers beside a choice on its
edge are left out too: the label says what is decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from compiler.ir import Choice, Join, Option, Region
from compiler.pictures.graph import Box, Cell, CellBuilder, OptionSet, Role, set_names
from compiler.pictures.operations import OperationKind, kind_of, kind_of_nodes
from compiler.pictures.options import BETWEEN, Deciding, inner, inner_choices, names, names_in

Way = tuple[int, ...]
"""The fixed operations on the way from one drawn thing to another, by their numbers."""

Candidates = tuple[tuple[str, OperationKind], ...]
"""The labels of options, each with its kind."""


def cell_of(region: Region, chosen: Mapping[str, str] | None = None) -> Cell:
    """A kind as it is to be drawn: undecided, or with the option chosen for each decision kept."""
    return _Reading(region, chosen).cell()


class _Reading:
    def __init__(self, region: Region, chosen: Mapping[str, str] | None) -> None:
        self.region = region
        self.chosen = chosen
        self.deciding = Deciding(region, chosen)
        self.builder = CellBuilder(region.name)
        self.inputs = [number for number, _ in region.inputs]
        self.open = self._open()
        self.gone = self._gone()
        self.named = {n for n, node in region.nodes() if node.bound} | set(self.inputs)
        self.boxes: dict[int, int] = {}
        """The boxes of values by their numbers."""
        self.choices: dict[int, list[int]] = {}
        """The boxes of choices, one for each option that is left; one that has a name is a value as
        well."""
        self.kinds: dict[int, OperationKind] = {}

    def cell(self) -> Cell:
        for number in self._starts():
            self._add_value(number, Role.INPUT)
        sets = self._sets() if self.chosen is None else {}
        for number, node in self.region.nodes():
            if number in self.gone or number not in self.open:
                continue
            if isinstance(node, Choice) and not self.deciding.is_slice(node):
                self._add_choice(number, node, sets)
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
            if not self.deciding.is_there(node):
                dropped = True
            elif isinstance(node, Choice) and self.chosen is not None:
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
            node = self.region.node(number)
            if number in self.boxes:
                yield self.boxes[number], path
                continue
            yield from ((box, path) for box in self.choices.get(number, ()))
            if names(node):
                path = (number, *path)
            below = [o for o in self._below(number) if o not in seen and o not in self.gone]
            seen.update(below)
            waiting += [(o, path) for o in reversed(below)]

    def _below(self, number: int) -> tuple[int, ...]:
        """What a value reads that no box stands for."""
        node = self.region.node(number)
        operands: tuple[int, ...] = node.operands
        if number in self.choices:
            options = self.deciding.selected(node) if self.chosen is not None else []
            passed = [o for o in options if self.deciding.is_value(node, o)]
            return tuple(dict.fromkeys(n for o in passed for n in self.deciding.read(node, o)))
        if isinstance(node, Join) and node.loose and self.chosen is not None:
            read = self._read_beside(number)
            places = enumerate(operands)
            return tuple(o for place, o in places if place not in node.loose or o not in read)
        return operands

    def _read_beside(self, join: int) -> set[int]:
        """The values that are read by others than this join."""
        found: set[int] = set()
        for number, node in self.region.nodes():
            if number == join or number in self.gone:
                continue
            if isinstance(node, Choice):
                options = self.deciding.selected(node)
                found.update(n for o in options for n in self.deciding.read(node, o))
            else:
                found.update(node.operands)
        return found

    def _add_choice(self, number: int, node: Choice, sets: Mapping[Candidates, int]) -> None:
        """Adds the operation that is to be decided, or those that were chosen."""
        made: list[int] = []
        self.choices[number] = made
        if self.chosen is None:
            made.append(self.builder.add(self._open_operation(node, sets)))
            self._link_operands(node.operands, made[0])
            return
        for option in self.deciding.selected(node):
            if not self.deciding.is_value(node, option):
                label = self.deciding.label(node, option)
                kind = self._kind_of(node, option)
                made.append(self.builder.add(Box(Role.OPERATION, label, kind=kind)))
                self._link_operands(self.deciding.read(node, option), made[-1])

    def _link_operands(self, operands: Iterable[int], box: int) -> None:
        for end, _ in self._reached(operands):
            self.builder.link(end, box)

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
        told = [name for node in nodes for name in names(node)]
        label = BETWEEN.join(told if len(told) < 4 else [told[0], "…", told[-1]])
        return Box(Role.OPERATION, label, kind=kind_of_nodes(nodes))

    def _open_operation(self, node: Choice, sets: Mapping[Candidates, int]) -> Box:
        number = sets[self._candidates(node)]
        several = len(self.builder.sets[number].options)
        label = f"{several} option{'s' * (several != 1)}"
        if len(self.builder.sets) > 1:
            within = (sets[self._candidates(each)] for each in inner_choices(node))
            numbers = dict.fromkeys((number, *within))
            label = BETWEEN.join(self.builder.sets[n].name for n in numbers)
        if node.decision in self.deciding.numbers:
            bodies = [option.body for option in node.region.options]
            made = self.deciding.made(node) or [n for b in bodies for n in names_in(b)]
            label = BETWEEN.join([*made[:1], label])
        return Box(Role.OPERATION, label, options=number)

    def _candidates(self, node: Choice) -> Candidates:
        options = node.region.options
        if node.decision in self.deciding.numbers:
            return tuple((option.label, OperationKind.OTHER) for option in options)
        return tuple((option.label, self._kind_of(node, option)) for option in options)

    def _kind_of(self, choice: Choice, option: Option) -> OperationKind:
        if self.deciding.made(choice):
            return kind_of_nodes([self.deciding.before(choice)])
        if self.chosen is not None:
            for node in inner(option):
                for each in self.deciding.selected(node):
                    return self._kind_of(node, each)
        is_value = self.deciding.is_value(choice, option)
        is_open = len(choice.operands) > 1 and any(True for _ in inner(option))
        return OperationKind.OTHER if is_value or is_open else self._kind(option.body)

    def _kind(self, body: Region) -> OperationKind:
        if id(body) not in self.kinds:
            self.kinds[id(body)] = kind_of(body)
        return self.kinds[id(body)]

    def _sets(self) -> dict[Candidates, int]:
        """The sets of candidates by what they hold, told apart by name; fills the cell's sets."""
        found: dict[Candidates, str] = {}
        for _, node in self.region.nodes():
            if isinstance(node, Choice) and not self.deciding.is_slice(node):
                for each in (node, *inner_choices(node)):
                    found.setdefault(self._candidates(each), self._set_name(each))
        told = set_names(list(found.values()))
        self.builder.sets = [
            OptionSet(name, options) for name, options in zip(told, found, strict=True)
        ]
        return {options: number for number, options in enumerate(found)}

    def _set_name(self, node: Choice) -> str:
        if node.decision in self.deciding.numbers:
            return "numbers"
        return "options" if node.region.is_branch else node.region.name
