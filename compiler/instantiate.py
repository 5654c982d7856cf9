"""Walks a program with numbers in place of its symbols: shapes, weights, and what is impossible.

Every region is walked once for every different set of arguments and input shapes. This is where a
file's faults of size come out, each reported at the innermost place in the file itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from compiler import joins, layers
from compiler.expr import Expr, Plain, evaluate, symbols
from compiler.facts import Facts, Instance, Made, OpenSize, Sizes
from compiler.ir import (
    Arguments,
    Call,
    Choice,
    Elementwise,
    Inline,
    Input,
    Join,
    Layer,
    Node,
    Option,
    Part,
    Region,
    Repeat,
    Scan,
    Select,
    Tap,
    expressions,
)
from compiler.joins import Misfit
from compiler.layers import dimensions
from compiler.program import Program
from compiler.steps import count_of, placed
from compiler.ways import name_of
from compiler.whereabouts import Whereabouts
from dsl.diagnostics import DartsError, Label, fault
from dsl.source import Span
from dsl.vocabulary import NOTHING

MOST_STEPS_IN_ALL = 100_000
MOST_LAYERS = 100_000
MOST_WEIGHTS = 10**11
MOST_WALKS = 10_000
"""So many different regions, each with numbers of its own, are walked through."""
LENGTHS = (48, 96)
"""Lengths tried for a size that stays open until the network runs."""


def instantiate(program: Program) -> Facts:
    """The facts about a program at the values of its parameters.

    Raises:
        DartsError: with every fault of size.
    """
    facts = _walked(program, LENGTHS[0])
    if program.open_sizes:
        other = _walked(program, LENGTHS[1])
        pairs = zip(facts.weighed, other.weighed, strict=False)
        unlike = next((a[0] for a, b in pairs if a != b), program.network.span)
        if other.weights != facts.weights:
            names = ", ".join(f"`{name}`" for name in program.open_sizes)
            message = (
                f"how many weights there are hangs on {names}, which is open until the network runs"
            )
            raise fault("E0719", message, unlike, "let widths hang on parameters alone")
    return facts


def _walked(program: Program, length: int) -> Facts:
    """The facts where sizes that stay open are `length`."""
    walker = _Walker(program)
    network = program.network
    try:
        open_ = {name: OpenSize(length, name) for name in program.open_sizes}
        env = {**open_, **program.values}
        shapes = [
            tuple(walker.value(size, env, node) for size in node.shape)
            for _, node in network.inputs
        ]
        for _, node in network.inputs:
            for size in node.shape:
                plain = walker.value(size, env, node)
                if not isinstance(plain, int) or plain < 1:
                    message = f"a size is a whole number of at least 1, this is {plain}"
                    raise fault("E0503", message, node.span)
        for _, node in network.nodes():
            open_here = {s for value in expressions(node) for s in symbols(value)} & set(open_)
            if open_here:
                message = f"this hangs on `{min(open_here)}`, which is open until the network runs"
                raise fault("E0719", message, node.span)
        instance = walker.region(network, env, shapes)
        for number, promise in zip(network.outputs, network.promises, strict=True):
            walker.promise(network, env, number, promise, instance.shapes[number])
        for number in network.auxiliary:
            walker.promise(network, env, number, network.promises[0], instance.shapes[number])
    except DartsError as error:
        walker.collector.extend(error)
        instance = Instance(network, {}, None, 0, 0)
    walker.collector.raise_if_any()
    return Facts(
        instance.weights,
        instance.output,
        instance,
        walker.inexact,
        walker.uses,
        walker.shapes,
        walker.weighed,
    )


class _Walker(Whereabouts):
    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.uses: dict[str, set[tuple[tuple[str, Any], ...]]] = {}
        self.known: dict[Any, Instance] = {}
        self.shapes: dict[int, list[dict[int, Sizes | None]]] = {}
        self.layers = [0]
        """For every region being walked, how many layers it has come to."""
        self.at: list[tuple[Instance, int]] = []
        """For every region being walked, what is noted of it, and the number of its node."""
        self.in_head = 0
        """How many of the nodes being walked make an auxiliary head."""
        self.walks = 0
        self.is_over = False
        """Whether it has been said that there is too much of it."""
        self.outputs: dict[int, list[Sizes]] = {}
        self.steps = 0
        self.sharing: list[dict[str, Made]] = [{}]
        """For every region being walked, what is shared in it."""
        self.tables: dict[str, Sizes] = {}
        """Of every shared embedding, how many rows it has and how many numbers in each."""
        self.weighed: list[tuple[Span | None, int]] = []
        """All layers in the order of the walk, with their weights."""

    def region(self, region: Region, env: Mapping[str, Plain], shapes: list[Any]) -> Instance:
        key = (id(region), tuple(sorted(env.items())), tuple(shapes))
        if key not in self.known:
            if not region.is_branch:
                self.uses.setdefault(region.name, set()).add(tuple(sorted(env.items())))
            self.known[key] = self.walk(region, dict(env), shapes)
            self.shapes.setdefault(id(region), []).append(self.known[key].shapes)
        return self.known[key]

    def walk(self, region: Region, env: dict[str, Plain], shapes: list[Any]) -> Instance:
        found: dict[int, Sizes | None] = {}
        instance = Instance(region, found, None, 0, 0)
        weights = 0
        self.check_walks()
        self.sharing.append({})
        self.layers.append(0)
        heads = region.heads()
        given = iter(shapes)
        for number, node in region.nodes():
            if isinstance(node, Input):
                found[number] = self.input(node, env, next(given))
                continue
            operands = [found[o] for o in node.operands]
            found[number] = None
            if any(o is None for o in operands):
                continue
            self.frames.append((region, found, node))
            self.at.append((instance, number))
            self.in_head += number in heads
            try:
                found[number], more = self.node(region, node, env, operands)
                self.check_size(node, weights + more)
                if node.shared:
                    self.share(node.shared, operands[0] or (), more, node.span)
                    more = 0
                weights += more * (number not in heads)
            except DartsError as error:
                self.collector.extend(self.advised(error))
            except Misfit as misfit:
                found_fault = self.fault(misfit.code, misfit.message, node.span, misfit.help)
                self.collector.extend(self.advised(found_fault))
            else:
                self.agree(node, env, found[number])
            finally:
                self.frames.pop()
                self.at.pop()
                self.in_head -= number in heads
        if region.states is not None:
            self.give_back(region, found)
        instance.shared = self.sharing.pop()
        if not region.is_branch:
            weights += sum(made.weights for made in instance.shared.values())
        instance.output, instance.weights = found[region.outputs[0]], weights
        instance.layers = self.layers.pop()
        return instance

    def advised(self, error: DartsError) -> DartsError:
        """A fault with the advice that a network can do without its auxiliary head, if it is in
        one."""
        if not self.in_head:
            return error
        help = "`auxiliary_weight = 0` builds no head"
        return DartsError(tuple(replace(d, help=d.help or help) for d in error.diagnostics))

    def check_walks(self) -> None:
        """Ops of ops that each give others numbers of their own double at every turn."""
        self.walks += 1
        if self.walks == MOST_WALKS + 1:
            message = f"this comes to more than {MOST_WALKS} operations of different sizes"
            raise self.fault("E0103", message, self.stack[-1] if self.stack else None)
        if self.walks > MOST_WALKS:
            raise DartsError(())

    def check_size(self, node: Node, weights: int) -> None:
        """What a program comes to is known before anything is built, and must fit some machine."""
        if self.layers[-1] <= MOST_LAYERS and weights <= MOST_WEIGHTS:
            return
        if self.is_over:
            raise DartsError(())  # which has been said
        self.is_over = True
        if weights > MOST_WEIGHTS:
            message = f"this comes to more than {MOST_WEIGHTS:,} weights"
            raise self.fault("E0103", message, node.span, "smaller widths")
        message = f"this comes to more than {MOST_LAYERS:,} layers"
        raise self.fault("E0103", message, node.span, "fewer or smaller repeats and ops of ops")

    def share(self, name: str, shape: Sizes, weights: int, span: Span | None) -> None:
        """Notes that something shared reads a value of `shape`, the same at all its uses."""
        known = self.sharing[-1].setdefault(name, Made(shape, weights, span))
        if known.shape != shape:
            shown = span.text if span is not None and span.text.isidentifier() else name
            raise self.fault(
                "E0501",
                f"`{shown}` was made for {dimensions(known.shape)}, this is {dimensions(shape)}",
                span,
                "bring the values to one width, or bind it without `shared`",
                Label(known.span, "made here") if known.span is not None else None,
            )

    def give_back(self, region: Region, found: Mapping[int, Sizes | None]) -> None:
        """States are given back in the shape they have."""
        for (number, state), output in zip(region.state_inputs, region.outputs, strict=False):
            shape, given = found[number], found[output]
            if shape is not None and given is not None and shape != given:
                self.collector.add(
                    "E0505",
                    f"`{region.name}` gives back {dimensions(given)} for the state "
                    f"`{state.name}`, which is {dimensions(shape)}",
                    region.node(output).span or region.span,
                )

    def agree(self, node: Node, env: dict[str, Plain], found: Sizes | None) -> None:
        """The symbolic shape of a value and the one found must be the same."""
        if found is None:
            return
        if isinstance(node, Repeat | Tap):
            env.update({s.name: n for s, n in zip(node.shape, found, strict=True)})  # type: ignore[attr-defined]
        if len(self.collector) and any(s not in env for size in node.shape for s in symbols(size)):
            return  # the size of something that has a fault
        symbolic = tuple(evaluate(size, env, self.inexact) for size in node.shape)
        if symbolic != found:
            raise AssertionError(f"{node} has shape {found}, inferred as {symbolic}")

    def promise(
        self,
        network: Region,
        env: dict[str, Plain],
        number: int,
        promise: tuple[Expr | None, ...],
        output: Sizes | None,
    ) -> None:
        """The network must give the shapes that its `to` says, its auxiliary head the first."""
        if output is None:
            return
        node = network.node(number)
        wanted = [None if size is None else self.value(size, env, node) for size in promise]
        fits = len(wanted) == len(output) and all(
            size in (None, given) for size, given in zip(wanted, output, strict=False)
        )
        if not fits:
            promised = " x ".join("_" if size is None else str(size) for size in wanted)
            last = f"`linear({promised})`, or " if len(wanted) == 1 == len(output) else ""
            self.collector.add(
                "E0505",
                f"this head gives {dimensions(output)}, but the network promises {promised}"
                if number in network.auxiliary
                else f"the network gives {dimensions(output)}, but promises {promised}",
                node.span or network.span,
                f"{last}one parameter for both",
            )

    def input(self, node: Input, env: dict[str, Plain], shape: Sizes) -> Sizes | None:
        for demand, size in zip(node.demands, shape, strict=False):
            if demand is not None:
                wanted = self.value(demand, env, node)
                if wanted != size:
                    name = node.bound
                    self.collector.extend(
                        self.fault(
                            "E0505", f"`{name}` must have {wanted} here, it has {size}", node.span
                        )
                    )
                    return None
        return shape

    def node(
        self, region: Region, node: Node, env: dict[str, Plain], operands: list[Any]
    ) -> tuple[Any, int]:
        match node:
            case Layer():
                return self.layer(node, env, operands[0])
            case Join():
                names = [name_of(region, o) for o in node.operands]
                return joins.joined(node.how, operands, names), 0
            case Call():
                inner = self.called(node.region, node.arguments, env, operands, node)
                return inner.output, inner.weights
            case Scan():
                return self.scan(node, env, operands)
            case Elementwise():
                number = None if node.number is None else self.value(node.number, env, node)
                return joins.reckoned(node, number, operands), 0
            case Part():
                return joins.part(operands[0], node.count), 0
            case Inline():
                inner = self.entered(node.region, env, operands, node.span)
                return inner.output, inner.weights
            case Select():
                taken = node.then if self.condition(node, env) else node.otherwise
                inner = self.entered(taken, env, operands, node.span)
                return inner.output, inner.weights
            case Choice():
                return self.choice(node, env, operands)
            case Repeat():
                return self.repeat(node, env, operands)
            case Tap():
                outputs = self.outputs[id(region.node(node.operands[0]))]
                return self.tap(node, env, outputs), 0
        raise TypeError(f"no shape for {type(node).__name__}")

    def layer(self, node: Layer, env: dict[str, Plain], shape: Sizes) -> tuple[Sizes, int]:
        arguments = {n: self.value(v, env, node) for n, v in node.arguments}
        complaint = layers.complaint(node.layer, shape, arguments)
        if complaint is not None:
            blamed = [value for name, value in node.arguments if f"`{name}`" in complaint]
            known = self.known_as((s for value in blamed for s in symbols(value)), env)
            what = "slices of" if node.layer == "narrow" else f"`{node.layer}` on"
            message = f"{what} {dimensions(shape)}: {complaint}{known}"
            raise self.fault("E0503", message, node.span)
        even = layers.padded_unlike(dict(node.arguments), arguments)
        if even is not None:
            raise self.fault(
                "E0405",
                f"this window of {even} is even, and that hangs on the size of a value",
                node.span,
                "say how much is padded, with `padding:`",
            )
        if node.layer == "embedding":
            self.check_rows(node, env, arguments["n"])
        if node.layer == "embedding" and node.shared:
            self.tables[node.shared] = arguments["n"], arguments["d"]
        if arguments.get("tied", NOTHING) != NOTHING:
            matrix = arguments["out"], shape[-1]
            joins.check_tied(arguments["tied"], matrix, self.tables)
        out = layers.out_shape(node.layer, shape, arguments)
        weights = layers.weights(node.layer, shape, arguments)
        self.weighed.append((node.span, weights))
        instance, number = self.at[-1]
        instance.own[number] = weights, layers.macs(node.layer, shape, out, arguments)
        self.layers[-1] += 1
        return out, weights

    def check_rows(self, node: Layer, env: dict[str, Plain], rows: Any) -> None:
        """An embedding has a row for every word that the network's input may hold."""
        region, _, _ = self.frames[-1]
        words = self.value(region.node(node.operands[0]).below, env, node)
        if rows != words:
            message = f"the table has {rows} rows, the words are below {words}"
            raise self.fault("E0503", message, node.span, "one number for both")

    def condition(self, node: Select, env: dict[str, Plain]) -> bool:
        value = self.value(node.condition, env, node)
        if not isinstance(value, bool):
            message = f"a condition is `yes` or `no`, this is {value}"
            raise self.fault("E0401", message, node.span)
        return value

    def scan(self, node: Scan, env: dict[str, Plain], operands: list[Any]) -> tuple[Any, int]:
        length = operands[0][0]
        if any(operand[0] != length for operand in operands):
            raise self.fault("E0501", "what runs over one dimension has one length", node.span)
        arguments = {n: self.value(v, env, node) for n, v in node.arguments}
        states = [
            tuple(self.value(size, arguments, node) for size in state)
            for state in node.region.state_dims(())
        ]
        steps = [*(operand[1:] for operand in operands), *states]
        inner = self.called(node.region, node.arguments, env, steps, node)
        return inner.output and (length, *inner.output), inner.weights

    def choice(self, node: Choice, env: dict[str, Plain], operands: list[Any]) -> tuple[Any, int]:
        inner = self.bound(node.region, node.arguments, env, operands, node)
        first: tuple[Option, Sizes] | None = None
        weights, found = 0, []
        for option in node.region.options:
            instance = self.entered(option.body, inner, operands, node.span)
            weights += instance.weights
            if instance.output is None:
                return None, weights
            found.append(instance.output)
            if node.how == "concat":
                continue
            if first is None:
                first = option, instance.output
            elif instance.output != first[1]:
                one, shape = first
                given = Label(one.body.span, "the first") if one.body.span is not None else None
                raise self.fault(
                    "E0501",
                    f"the options differ: `{one.label}` gives {dimensions(shape)}, "
                    f"`{option.label}` {dimensions(instance.output)}",
                    option.body.span or node.span,
                    _same_shape(node),
                    given,
                )
        if node.how == "concat":
            return joins.joined("concat", found, [o.label for o in node.region.options]), weights
        assert first is not None
        return first[1], weights

    def repeat(self, node: Repeat, env: dict[str, Plain], window: list[Any]) -> tuple[Any, int]:
        count = count_of(self, node, env)
        self.steps += count
        if self.steps > MOST_STEPS_IN_ALL:
            raise self.fault(
                "E0702", f"repeats come to more than {MOST_STEPS_IN_ALL} steps in all", node.span
            )
        places = placed(self, node, env, count)
        weights, stage = 0, 0
        outputs = []
        for index in range(count):
            step = places.get(index, node.steps[0])
            stage += index in places
            inner = {**env, "step": index, "stage": stage}
            for name, shape in zip(node.window, window, strict=True):
                inner.update({f"{name}_{d}": n for d, n in zip("chw", shape, strict=False)})
            reads = len(step.body.inputs)
            instance = self.entered(step.body, inner, window[len(window) - reads :], None)
            weights += instance.weights
            if instance.output is None:
                return None, weights
            outputs.append(instance.output)
            window = [*window[1:], instance.output]
        self.outputs[id(node)] = outputs
        return outputs[-1], weights

    def tap(self, node: Tap, env: dict[str, Plain], outputs: list[Sizes]) -> Sizes:
        index = self.value(node.index, env, node)
        if not isinstance(index, int) or not -len(outputs) <= index < len(outputs):
            raise self.fault(
                "E0703", f"step {index} of a repeat of {len(outputs)} steps", node.span
            )
        return outputs[index]

    # -- environments

    def called(
        self,
        region: Region,
        arguments: Arguments,
        env: dict[str, Plain],
        operands: list[Any],
        node: Node,
    ) -> Instance:
        inner = self.bound(region, arguments, env, operands, node)
        self.calls.append((region.name, operands[0]))
        try:
            return self.entered(region, inner, operands, node.span)
        finally:
            self.calls.pop()

    def bound(
        self,
        region: Region,
        arguments: Arguments,
        env: dict[str, Plain],
        operands: list[Any],
        node: Node,
    ) -> dict[str, Plain]:
        if region.is_branch:
            return env
        values = tuple((n, self.value(v, env, node)) for n, v in arguments)
        return region.bind(values, operands)

    def entered(
        self, region: Region, env: Mapping[str, Plain], shapes: list[Any], span: Span | None
    ) -> Instance:
        if span is not None:
            self.stack.append(span)
        try:
            instance = self.region(region, env, shapes)
            around, number = self.at[-1]
            around.inside.setdefault(number, []).append(instance)
            self.layers[-1] += instance.layers
            if region.is_branch:
                for name, made in instance.shared.items():
                    self.share(name, made.shape, made.weights, made.span or span)
            return instance
        finally:
            if span is not None:
                self.stack.pop()


def _same_shape(node: Choice) -> str:
    """What to do where options differ in shape; those of a width may be slices of one weight."""
    labels = [option.label for option in node.region.options]
    if all(label.isdecimal() for label in labels):
        return "`choose entangled { … }` where it is a width, or numbers that give one shape"
    return "options of one choice give the same shape"
