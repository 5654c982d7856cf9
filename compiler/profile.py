"""Which values a profile gives: the network's parameters and the runtime's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsl import ast
from dsl.diagnostics import did_you_mean, fault
from dsl.load import load
from dsl.settings import SETTINGS, Settings, complaint, settings_from
from dsl.source import Span
from dsl.space import Profile, Space
from dsl.vocabulary import WORDS

PHASES = ("search", "final")


@dataclass(frozen=True)
class Values:
    """The values in force: of the network's parameters, and the settings.

    `profile` is the one they come from, empty where the file has none for the phase.
    """

    profile: str
    parameters: Mapping[str, Any]
    settings: Settings

    @property
    def has_auxiliary(self) -> bool:
        return self.settings.auxiliary_weight > 0


def values_of(
    space: Space, phase: str, profile: str | None, overrides: Mapping[str, Any]
) -> Values:
    """The values of a phase's profile with `profile` and then `overrides` laid over it.

    Raises:
        DartsError: for an unknown profile or name, or a value that does not fit.
    """
    if space.network is None:
        raise fault(
            "E0701", "this file has no network, so there is nothing to build", None,
            "name a file that has one; this one can be imported",
        )  # fmt: skip
    values: dict[str, Any] = {}
    places: dict[str, Span | None] = {}
    for parameter in space.network.parameters:
        default = _plain(parameter.default)
        if default is not None:
            values[parameter.name] = default
    for layer in _layers(space, phase, profile):
        values |= {name: entry.value for name, entry in layer.entries.items()}
        places |= {name: entry.span for name, entry in layer.entries.items()}
    for name, value in overrides.items():
        values[name] = _checked(space, name, value)
        places.pop(name, None)
    parameters = {p.name: values[p.name] for p in space.network.parameters if p.name in values}
    for parameter in space.network.parameters:
        if parameter.name not in values:
            wanted = profile or phase
            lacks = f"`{parameter.name}` has no value in profile `{wanted}`"
            near = None
            if wanted not in space.profiles:
                lacks = f"`{parameter.name}` has no value, and there is no profile `{wanted}`"
                near = did_you_mean(wanted, space.profiles)
            help = near or f"`{parameter.name} = …` there or a default here"
            raise fault("E0707", lacks, parameter.span, help)
        value = values[parameter.name]
        if not isinstance(value, int | float | str) or (
            isinstance(value, str) and value not in WORDS
        ):
            raise fault(
                "E0709",
                f"`{parameter.name}` is a number, a flag or a word of the language, "
                f"this is `{value}`",
                places.get(parameter.name),
            )
    shown = profile if profile is not None else phase if phase in space.profiles else ""
    return Values(shown, parameters, settings_from(values))


def settings(space: Space | str | Path, profile: str | None = None, **overrides: Any) -> Settings:
    """The runtime's settings for a search."""
    space = space if isinstance(space, Space) else load(space)
    return values_of(space, "search", profile, overrides).settings


def data_overrides(
    space: Space, shape: Sequence[int], classes: int, name: str = "the data"
) -> dict[str, int]:
    """What a data set of images [channels, height, width] gives the network's parameters.

    `name` is what messages call it.

    Raises:
        DartsError: when the network's input or output cannot be of that shape.
    """
    network = space.network
    if network is None:
        return {}
    rank = len(network.inputs[0].shape or shape)
    words = network.inputs[0].below is not None
    if len(network.inputs) != 1 or rank != len(shape) or words:
        raise fault(
            "E0708",
            f"{name} holds images, one at a time, and this network reads something else",
            network.inputs[-1].span,
            "another `--data`, such as `topics` or `text:DIR`"
            if words
            else "`image[channels, size, size]`",
        )
    found: dict[str, int] = {}
    pairs = [
        *zip(network.inputs[0].shape or (), shape, strict=False),
        *zip(network.outputs[0].shape or (), (classes,), strict=False),
    ]
    for pattern, size in pairs:
        written = pattern.span.text
        if isinstance(pattern, ast.Name) and pattern.name != "_":
            known = {p.name for p in network.parameters}
            if pattern.name not in known:
                continue
            if found.setdefault(pattern.name, size) != size:
                raise fault(
                    "E0708",
                    f"`{written}` cannot be both {found[pattern.name]} and {size}, as the data are",
                    pattern.span,
                    "give the two sizes names of their own, or use square images",
                )
        elif isinstance(pattern, ast.Number) and pattern.value != size:
            raise fault(
                "E0708",
                f"this says {written}, but the data have {size}",
                pattern.span,
                "make it a parameter of the network, which the data then set",
            )
    return found


def word_overrides(space: Space, vocabulary: int, name: str = "the data") -> dict[str, int]:
    """What a text of so many different words gives the network's parameters.

    `name` is what messages call it.

    Raises:
        DartsError: when the network reads no words, or another number of them.
    """
    network = space.network
    if network is None:
        return {}
    below = network.inputs[0].below
    if below is None or len(network.inputs) > 1:
        raise fault(
            "E0708",
            f"{name} holds words, and this network reads something else",
            network.inputs[-1].span,
            "another `--data`, such as `digits` or `images:DIR`"
            if below is None
            else "`word[T] below V`",
        )
    if isinstance(below, ast.Name):
        return {below.name: vocabulary}
    if not isinstance(below, ast.Number) or below.value != vocabulary:
        raise fault(
            "E0708",
            f"this says {below.span.text}, but the text has {vocabulary} words",
            below.span,
            "make it a parameter of the network, which the data then set",
        )
    return {}


def _plain(default: ast.Expr | None) -> Any:
    """A parameter's default, where it is a plain value."""
    match default:
        case ast.Number(value=value) | ast.Flag(value=value):
            return value
        case ast.Unary(operator="-", operand=ast.Number(value=value)):
            return -value
        case ast.Name(name=name):
            return name
    return None


def _layers(space: Space, phase: str, profile: str | None) -> list[Profile]:
    """The profiles to lay over each other, the last one on top."""
    profiles = space.profiles
    if profile is not None and profile not in profiles:
        raise fault(
            "E0705",
            f"there is no profile `{profile}`",
            None,
            did_you_mean(profile, profiles)
            or "this file has " + (", ".join(f"`{name}`" for name in profiles) or "no profiles"),
        )
    base = [profiles[phase]] if phase in profiles else []
    if profile is None or profile == phase:
        return base
    chosen = profiles[profile]
    if chosen.phase is None:
        return [*base, chosen]
    if chosen.phase != phase:
        raise fault(
            "E0705", f"profile `{profile}` belongs to the {chosen.phase} network",
            None,
        )  # fmt: skip
    return [chosen]


def _checked(space: Space, name: str, value: Any) -> Any:
    """An override, after the same checks as a profile's value."""
    assert space.network is not None
    parameters = [p.name for p in space.network.parameters]
    if name in parameters:
        return value
    if name not in SETTINGS:
        known = [*parameters, *SETTINGS]
        raise fault(
            "E0706",
            f"no setting or parameter is called `{name}`",
            None,
            did_you_mean(name, known) or f"it has {', '.join(parameters) or 'no parameters'}",
        )
    wrong = complaint(name, value)
    if wrong is not None:
        raise fault("E0709", f"`{name}` {wrong}, this is `{value}`", None)
    return value
