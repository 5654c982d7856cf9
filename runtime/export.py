"""Trained final models as files for other programs, each checked against torch before it is there.

    onnx          a graph for ONNX runtimes
    torch         a program for `torch.export.load`, which needs no Python source
    safetensors   the weights, with the emitted file beside them that they are for

All run in evaluation mode, in float32 and with any batch. A recurrent network is unrolled over a
fixed number of steps, and takes and gives its states.
"""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

from compiler.compile import execute
from runtime.errors import UserError
from runtime.export_inputs import (
    TRACED_BATCH,
    Arguments,
    Interface,
    arguments_of,
    dynamic_shapes,
    flat,
    names_of,
)
from runtime.staging import move_all, staging, write_bytes
from runtime.state import host_copies

TOLERANCE = 1e-4  # how far outputs in float32 may be from those of the torch model
BATCHES = (1, 3)  # what the written files are tried with
ONNX_BYTES = 2_000_000_000  # of weights in one file, which may hold 2 GiB in all
PACKAGES = ("onnx", "onnxscript", "onnxruntime")

Run = Callable[[Arguments], list[Tensor]]
"""An exported model: its outputs, then its states."""


@dataclass(frozen=True)
class Exported:
    """A file that was written, and the largest absolute difference of its outputs from those of
    the torch model, over inputs drawn at random in each of `batches`."""

    path: Path
    difference: float
    batches: tuple[int, ...]


@torch.no_grad()
def export_model(
    network: nn.Module,
    source: str,
    interface: Interface,
    path: Path,
    format: str,
    about: Mapping[str, str] | None = None,
) -> Exported:
    """Writes a final model and tries what was written; nothing is left where it is not the same.

    Args:
        network: a built final model with its weights and without hooks. It is not touched: a copy
            of it, on the CPU and in float32, is exported.
        source: the emitted text of the same model.
        interface: what the network reads and gives.
        path: the file; for `safetensors`, the emitted file goes beside it, as a `.py`. What is
            there is replaced.
        format: one of FORMATS.
        about: notes that go into the file, by name: what one must know to use the model.

    Raises:
        UserError: when packages are missing, the disk is at fault, or the model would not be the
            same in the file, or has numbers that are not finite.
    """
    model = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    _check_weights(model)
    trials = _trials(model, interface)
    subject = _Subject(model, source, interface, dict(about or {}))
    with staging(path) as folder:
        run = _WRITERS[format](subject, folder / path.name)
        difference = _difference(run, trials)
        if not difference <= TOLERANCE:  # nor where it is not a number
            raise UserError(
                f"{path} was not written: its outputs would be {difference:.1e} from those of "
                f"torch, more than {TOLERANCE:g}; use another of {', '.join(FORMATS)}"
            )
        move_all(sorted(folder.iterdir()), path)
    return Exported(path, difference, BATCHES)


# -- formats


@dataclass(frozen=True)
class _Subject:
    """What is exported: see `export_model`."""

    model: nn.Module
    source: str
    interface: Interface
    about: dict[str, str]


def _write_onnx(subject: _Subject, file: Path) -> Run:
    """The notes are the file's own metadata."""
    model, interface = subject.model, subject.interface
    onnxruntime = _onnx_packages()
    size = sum(parameter.nbytes for parameter in model.parameters())
    if size > ONNX_BYTES:
        raise UserError(
            f"these weights are {size / 1e9:.1f} GB, and an ONNX file holds {ONNX_BYTES / 1e9:g}: "
            f"use the format `torch`"
        )
    names, outputs = names_of(model, interface)
    write_bytes(file, _onnx_graph(subject, names, outputs))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors, no warnings
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def run(arguments: Arguments) -> list[Tensor]:
        read = {name: t.numpy() for name, t in zip(names, flat(arguments), strict=True)}
        return [torch.from_numpy(values) for values in session.run(None, read)]

    return run


def _onnx_graph(subject: _Subject, names: list[str], outputs: list[str]) -> bytes:
    """One output is called `logits`, several as in the space."""
    arguments = arguments_of(subject.model, subject.interface, TRACED_BATCH)
    with _quiet():
        # Not optimised: runtimes optimise for themselves, and onnxscript 0.7 drops a constant that
        # is still read where one value goes twice through relu6 and then relu.
        program = torch.onnx.export(
            subject.model,
            arguments,
            dynamo=True,
            optimize=False,
            verbose=False,
            dynamic_shapes=dynamic_shapes(arguments, subject.interface),
            input_names=names,
            output_names=outputs,
        )
    assert program is not None  # without a file to write it is given back
    graph = program.model_proto
    for node in graph.graph.node:
        del node.metadata_props[:]  # among them the folders of this machine
    for name, note in subject.about.items():
        graph.metadata_props.add(key=name, value=note)
    return graph.SerializeToString()


def _write_torch(subject: _Subject, file: Path) -> Run:
    """Each note is an extra file in the archive."""
    model, interface = subject.model, subject.interface
    arguments = arguments_of(model, interface, TRACED_BATCH)
    data = io.BytesIO()
    with _quiet():
        dynamic = dynamic_shapes(arguments, interface)
        program = torch.export.export(model, arguments, dynamic_shapes=dynamic)
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # it names the folders of this machine
        torch.export.save(program, data, extra_files=subject.about)
    write_bytes(file, data.getvalue())
    with _quiet():
        loaded = torch.export.load(io.BytesIO(file.read_bytes())).module()
    return lambda arguments: flat(loaded(*arguments))


def _write_safetensors(subject: _Subject, file: Path) -> Run:
    """The notes are the file's metadata, as training writes them."""
    text = file.with_suffix(".py")
    if text == file:
        raise UserError(f"{file.name} is for the emitted file: name the weights `.safetensors`")
    tensors = host_copies(subject.model.state_dict())
    write_bytes(file, safetensors_bytes(tensors, subject.about or None))
    write_bytes(text, subject.source.encode())
    with torch.random.fork_rng([]):
        loaded = execute(text.read_text(encoding="utf-8"), f"<{text.name}>")["Network"]()
    loaded.load_state_dict(load_file(file))
    loaded.eval()
    return lambda arguments: flat(loaded(*arguments))


_WRITERS: Mapping[str, Callable[[_Subject, Path], Run]] = {
    "onnx": _write_onnx,
    "torch": _write_torch,
    "safetensors": _write_safetensors,
}
"""Each writes a file, and gives what that file computes when it is read back."""
FORMATS = tuple(_WRITERS)


def _onnx_packages() -> Any:
    """`onnxruntime`; the others are torch's own need.

    Raises:
        UserError: when one of them is not installed.
    """
    try:
        *_, runtime = [import_module(name) for name in PACKAGES]
    except ModuleNotFoundError as missing:
        if (missing.name or "").split(".")[0] not in PACKAGES:
            raise
        raise UserError(
            f"the format `onnx` needs {', '.join(PACKAGES)}: pip install 'dartsc[onnx]'"
        ) from None
    return runtime


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of torch's exporters about themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# -- checks


def _check_weights(model: nn.Module) -> None:
    for name, tensor in model.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise UserError(
                f"`{name}` holds numbers that are not finite in float32, so the model is not "
                f"exported: use the weights of an earlier epoch, or train with a smaller `lr`"
            )


def _trials(model: nn.Module, interface: Interface) -> list[tuple[Arguments, list[Tensor]]]:
    """For each batch, arguments and what the torch model makes of them."""
    drawn = [arguments_of(model, interface, batch) for batch in BATCHES]
    trials = [(given, flat(model(*given))) for given in drawn]
    if not all(torch.isfinite(tensor).all() for _, wanted in trials for tensor in wanted):
        raise UserError(
            "what the model gives is not finite in float32, so it is not exported: use the "
            "weights of an earlier epoch, or train with a smaller `lr`"
        )
    given, wanted = trials[0]
    if not all(map(torch.equal, flat(model(*given)), wanted)):
        raise UserError(
            "the model draws random numbers (`gaussian`), so what a file computes could not be "
            "compared with it: export a model without them, or keep `model.py` and its weights"
        )
    return trials


def _difference(run: Run, trials: list[tuple[Arguments, list[Tensor]]]) -> float:
    """The largest absolute difference of what `run` gives, or NaN where there is one in it."""
    found = []
    for arguments, wanted in trials:
        for given, tensor in zip(run(arguments), wanted, strict=True):
            assert given.shape == tensor.shape
            found.append((given - tensor).abs().max())
    return torch.stack(found).max().item()
