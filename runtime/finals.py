"""What the command does with final models: derives, counts, draws, writes, measures, exports them.

Each takes a run's folder, or a file with a genotype.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.asked import Asked
from runtime.errors import UserError
from runtime.rundir import disk_faults

if TYPE_CHECKING:
    from runtime.final_model import FinalModel
    from runtime.weights import Weights

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2", "safetensors": ".safetensors"}


def work(asked: Asked) -> None:
    """Does the one job that is asked for."""
    if asked.derive:
        derive(asked)
    elif asked.evaluate:
        evaluate(asked)
    elif asked.export is not None:
        export(asked, asked.export)
    elif asked.draw is not None:
        draw(asked, asked.draw)
    elif asked.emit is not None:
        emit(asked, asked.emit)
    else:
        count(asked)


def model_of(asked: Asked) -> FinalModel:
    """The final model that the command line names.

    Raises:
        UserError: when it names none.
        DartsError: when the space, the genotype or an override is at fault.
    """
    import compiler
    from dsl.load import load
    from runtime.final_model import FinalModel
    from runtime.jobs import model_of_run

    genotype = None if asked.genotype is None else compiler.Genotype.load(asked.genotype)
    if asked.run is not None:
        return model_of_run(asked.run, genotype, asked.laid_over, **asked.overrides)
    assert asked.file is not None and genotype is not None
    return FinalModel(load(asked.file), genotype, asked.laid_over, asked.overrides)


def emit(asked: Asked, path: Path) -> None:
    """Writes the final model as a file of its own."""
    with disk_faults():
        model_of(asked).emit(path, prune=asked.prune)
    asked.telling.say(f"{path}: written")


def derive(asked: Asked) -> None:
    """Prints what the alphas come to, with the audit, and saves it where `--out` says."""
    from compiler.audit import audit_dict, audit_text
    from compiler.derive import derive
    from runtime import alphas

    if asked.run is not None:
        searched = alphas.of_run(asked.run, asked.epoch)
    else:
        assert asked.file is not None and asked.alphas is not None
        searched = alphas.of_file(asked.file, asked.alphas, asked.laid_over, **asked.overrides)
    derived = derive(searched.kinds, searched.alphas, asked.rule)
    if asked.out is not None:
        with disk_faults():
            derived.genotype.save(asked.out, derived.audit)
    audit = searched.kinds, searched.alphas, asked.rule
    if asked.telling.as_json:
        data = {"genotype": str(derived.genotype), "epoch": searched.epoch}
        print(json.dumps({**data, "cells": audit_dict(*audit)}, indent=2, ensure_ascii=False))
    else:
        after = "" if searched.epoch is None else f"after epoch {searched.epoch}\n"
        print(f"{after}{derived.genotype}\n\n{audit_text(*audit)}", end="")
    if asked.out is not None:
        asked.telling.say(f"{asked.out}: written")


def evaluate(asked: Asked) -> None:
    """Prints what trained weights are worth on the part of the data to test on."""
    from runtime.evaluation import evaluate_model
    from runtime.figures import called, figure

    found = evaluate_model(model_of(asked), weights_of(asked), data_of(asked), asked.where)
    if asked.telling.as_json:
        print(json.dumps(asdict(found), indent=2, ensure_ascii=False))
        return
    unit = "word" if "perplexity" in found.measured else "image"
    print(f"{found.data}: {found.size:,} {unit}s to test on")
    for name, value in found.measured.items():
        print(f"  {called(name):<16}{figure(name, value)}")
    print(f"  {'parameters':<16}{found.parameters:,}")
    print(f"  {'MACs':<16}{found.macs:,} per {unit}")
    print(
        f"  {'latency':<16}{found.latency:.2f} ms for one {unit} on {found.device}; "
        f"{found.throughput:,.0f} {unit}s/s in batches of {found.batch}"
    )


def data_of(asked: Asked) -> str | None:
    """The name of the data: what the command says, or else what the run was trained on."""
    from runtime.rundir import open_folder

    if asked.data is not None or asked.run is None:
        return asked.data
    return str(open_folder(asked.run).read_settings().get("data"))


def weights_of(asked: Asked) -> Weights:
    """The trained weights: a file's, or `best` or `last` of a run.

    Raises:
        UserError: when there are none.
    """
    from runtime.jobs import weights_of as weights_of_run
    from runtime.weights import Weights

    named = asked.weights
    if asked.run is not None and named in (None, "best", "last"):
        return Weights.read(weights_of_run(asked.run, named))
    if named is None:
        raise UserError("trained weights are needed: `--weights best.safetensors`")
    return Weights.read(Path(named))


def count(asked: Asked) -> None:
    """Prints what a final model costs, or between what the final models of a space cost."""
    import compiler

    if asked.run is None and asked.genotype is None:
        assert asked.file is not None
        found = compiler.cost_range(asked.file, asked.laid_over, **asked.overrides)
        data = found.as_data()
        lines = list(found.lines())
    else:
        model = model_of(asked)
        cost = compiler.cost(model.space, model.genotype, model.profile, **model.values)
        data = asdict(cost)
        lines = list(cost.lines())
    if asked.telling.as_json:
        print(json.dumps(data, indent=2, ensure_ascii=False))
    else:
        print("\n".join(lines))


def draw(asked: Asked, path: Path) -> None:
    """Writes the cells as a picture: SVG, or the text of Graphviz or Mermaid, by the suffix.

    Raises:
        UserError: for another suffix.
    """
    import compiler
    from compiler.files import write_text
    from compiler.pictures import together

    kinds = {".svg": "svg", ".dot": "dot", ".gv": "dot", ".mmd": "mermaid"}
    if path.suffix not in kinds:
        raise UserError(f"--draw writes `.svg`, `.dot` or `.mmd`, not `{path.name}`")
    if asked.run is None and asked.genotype is None:
        assert asked.file is not None
        pictures = compiler.draw(asked.file, None, asked.laid_over, **asked.overrides)
    else:
        model = model_of(asked)
        pictures = compiler.draw(model.space, model.genotype, model.profile, **model.values)
    if not pictures:
        raise UserError("this space has no cell that decides anything, so there is none to draw")
    with disk_faults():
        write_text(path, together(pictures, kinds[path.suffix]))
    asked.telling.say(f"{path}: {', '.join(pictures)}")


def export(asked: Asked, format: str) -> None:
    """Writes a trained model for other programs, checked against the one in torch.

    Raises:
        UserError: for an unknown format, and where there is no place to write to.
    """
    from runtime.export import FORMATS, export_model
    from runtime.export_inputs import interface_of
    from runtime.guard import within_memory

    if format not in FORMATS:
        raise UserError(f"--export writes {', '.join(FORMATS)}, not `{format}`")
    model, weights = model_of(asked), weights_of(asked)
    path = asked.out
    if path is None:
        # The model's text goes beside the weights, and a run has one of its own there.
        changed = {"genotype", "profile", "demo", "settings"} & set(asked.given)
        if asked.run is None or changed:
            raise UserError(f"where to? `--out model{SUFFIXES[format]}`")
        path = asked.run / f"model{SUFFIXES[format]}"
    with within_memory():
        net = model.build()
        weights.put_into(net)
        found = export_model(net, model.source(), interface_of(model), path, format, weights.about)
    batches = " and ".join(str(batch) for batch in found.batches)
    if asked.telling.as_json:
        print(json.dumps({**asdict(found), "path": str(found.path)}, indent=2))
    asked.telling.say(
        f"{found.path}: written; largest difference from torch {found.difference:.1e}, "
        f"in batches of {batches}"
    )
