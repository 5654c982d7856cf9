"""What a profile may set for the runtime: names, kinds, ranges and defaults, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from math import inf, isfinite
from typing import Any

SCHEDULES = ("cosine", "exponential", "constant")
Value = int | float | bool | str | tuple[int | float | bool | str, ...]


def whole(default: int, at_least: int, doc: str) -> Any:
    return field(default=default, metadata={"kind": "whole", "at_least": at_least, "doc": doc})


def number(default: float, at_least: float, doc: str, at_most: float = float("inf")) -> Any:
    bounds = {"at_least": at_least, "at_most": at_most}
    return field(default=default, metadata={"kind": "number", **bounds, "doc": doc})


def flag(default: bool, doc: str) -> Any:
    return field(default=default, metadata={"kind": "flag", "doc": doc})


def word(default: str, doc: str, *choices: str) -> Any:
    return field(default=default, metadata={"kind": "word", "choices": choices, "doc": doc})


def pair(default: tuple[float, float], doc: str) -> Any:
    return field(default=default, metadata={"kind": "pair", "doc": doc})


@dataclass(frozen=True)
class Settings:
    """The runtime's settings with the values a profile gives them."""

    data: str = word(
        "cifar10",
        "the data set used when the command names none",
        *("cifar10", "cifar100", "digits", "topics"),
    )
    subset: int = whole(0, 0, "training images, drawn by the seed, or first words; 0 is all")
    test_subset: int = whole(0, 0, "images to test on after each epoch, drawn alike; 0 is all")
    resized_crop: int = whole(0, 0, "side of random crops of any scale; 0 takes images as they are")
    crop: int = whole(0, 0, "random crops after padding by so many pixels")
    flip: bool = flag(False, "random horizontal flips")
    jitter: float = number(0.0, 0, "how far brightness, contrast and saturation vary", at_most=1)
    jitter_hue: float = number(0.0, 0, "how far hues turn, in turns", at_most=0.5)
    cutout: int = whole(0, 0, "the side of the square that cutout blanks; 0 is none")

    bptt: int = whole(35, 1, "words through which one step propagates back")
    bptt_halved: float = number(0.0, 0, "probability of a step of half as many words", at_most=1)
    bptt_deviation: float = number(0.0, 0, "standard deviation of a step's words; 0 is none")

    epochs: int = whole(50, 1, "passes over the training data, in a search over its own half")
    batch: int = whole(64, 1, "images, or streams of text, in a batch")
    accumulate: int = whole(1, 1, "pieces in which training computes a batch, to save memory")
    evaluation_batch: int = whole(10, 1, "streams in which the validation text is read")
    optimiser: str = word("sgd", "what trains the weights", "sgd", "averaged_sgd")
    patience: int = whole(5, 1, "epochs that `averaged_sgd` looks back before it averages")
    schedule: str = word("cosine", "the learning rate over the epochs", *SCHEDULES)
    lr: float = number(0.025, 0, "learning rate of the weights in the first epoch")
    lr_end: float = number(0.0, 0, "learning rate at the end of the cosine")
    lr_decay: float = number(0.97, 0, "factor of `exponential` after each epoch", at_most=1)
    momentum: float = number(0.9, 0, "momentum of the weights' optimiser", at_most=1)
    decay: float = number(3e-4, 0, "weight decay of the weights")
    clip: float = number(5.0, 0, "largest norm of the weights' gradient; 0 clips nothing")
    clip_virtual: bool = flag(False, "clips in the second order's virtual step too")
    init_uniform: float = number(0.0, 0, "weights start uniform up to this; 0 is as torch has it")
    slowness: float = number(0.0, 0, "penalty on how fast the recurrent output changes")
    activation: float = number(0.0, 0, "penalty on the size of the recurrent output")

    alpha_optimiser: str = word("adam", "what trains the alphas", "adam")
    alpha_lr: float = number(3e-4, 0, "learning rate of the alphas")
    alpha_betas: tuple[float, float] = pair((0.5, 0.999), "Adam's two betas for the alphas")
    alpha_decay: float = number(1e-3, 0, "weight decay of the alphas")

    label_smoothing: float = number(0.0, 0, "share of a target spread over classes", at_most=1)
    precision: str = word("float32", "what training computes in", "float32", "bfloat16")
    drop_path: float = number(0.0, 0, "probability of dropping an edge, in the end", at_most=1)
    auxiliary_weight: float = number(0.0, 0, "weight of the auxiliary loss; 0 builds no head")


SETTINGS: dict[str, Field[Any]] = {f.name: f for f in fields(Settings)}
OF_KIND = {
    "images": (
        *("test_subset", "resized_crop", "crop", "flip", "jitter", "jitter_hue", "cutout"),
        *("label_smoothing", "precision", "drop_path", "auxiliary_weight"),
    ),
    "text": (
        *("bptt", "bptt_halved", "bptt_deviation", "evaluation_batch", "patience"),
        *("slowness", "activation"),
    ),
}
"""Settings that mean something for one kind of data alone."""


def meaningless(settings: Settings, kind: str) -> list[str]:
    """The settings that have been changed and mean nothing for this kind of data."""
    others = [name for other, names in OF_KIND.items() if other != kind for name in names]
    return [name for name in others if getattr(settings, name) != SETTINGS[name].default]


def settings_from(values: Mapping[str, Value]) -> Settings:
    """The settings among a profile's values; network parameters are left out."""
    given = {name: values[name] for name in SETTINGS if name in values}
    # Adam refuses two betas of which one is a whole number.
    pairs = {n: tuple(map(float, v)) for n, v in given.items() if isinstance(v, tuple)}
    return Settings(**{**given, **pairs})  # type: ignore[arg-type]


def takes(name: str) -> str:
    """The values that a setting takes, in words."""
    about = SETTINGS[name].metadata
    at_least = f", at least {about.get('at_least')}"
    at_most = f" and at most {about['at_most']}" if about.get("at_most", inf) < inf else ""
    return {
        "whole": f"a whole number{at_least}",
        "number": f"a number{at_least}{at_most}",
        "flag": "`yes` or `no`",
        "word": " or ".join(f"`{word}`" for word in about.get("choices", ())) or "a word",
        "pair": "two numbers, at least 0 and below 1",
    }[str(about["kind"])]


def worded(value: object) -> str:
    """A default as the language writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def complaint(name: str, value: Value) -> str | None:
    """What is wrong with a value for setting `name`, in words that follow its name, or None."""
    about = SETTINGS[name].metadata
    at_least, at_most = about.get("at_least", 0), about.get("at_most", float("inf"))
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    match about["kind"]:
        case "whole" if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
            return f"is a whole number of at least {at_least}"
        case "number" if not is_number or not at_least <= value <= at_most:
            return f"is a number of at least {at_least}" + (
                f" and at most {at_most}" if at_most != float("inf") else ""
            )
        case "flag" if not isinstance(value, bool):
            return "is `yes` or `no`"
        case "pair" if not _is_pair(value):
            return "is a pair of numbers from 0 to 1, as in `(0.5, 0.999)`"
        case "word" if not isinstance(value, str):
            return "is a word"
        case "word" if about["choices"] and value not in about["choices"]:
            return "is one of " + ", ".join(f"`{c}`" for c in about["choices"])
    return None


def _is_pair(value: Value) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
        and all(0 <= v < 1 for v in value)  # type: ignore[operator]
    )
