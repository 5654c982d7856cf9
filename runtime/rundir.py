"""One run is one folder: what is in it and how it is written and read back.

    cifar_cell.darts          the space, and beside it the files of the user's that it imports
    settings.json             what the run was asked for, resolved
    metrics.jsonl             one line for each finished epoch, of a search with its alphas
    checkpoint.json           the last finished epoch, and the name of its tensors' file
    checkpoint-000012.safetensors
    genotype.yaml             the architecture after the last finished epoch, with its audit
    model.py                  the final model, once the search is over

Where a final model is trained, `genotype.yaml` and `model.py` are there from the start, and with
them

    best.safetensors          the weights after the best epoch so far
    last.safetensors          those after the last epoch
    result.json               what they are worth, once the training is over

Where one is trained with several seeds, each training has a folder `seed-<seed>` of its own; the
folder around them holds the space, the settings, the genotype and a result of all.

Every file is whole at any moment, for it is written beside its place and then moved there; the
metrics, which grow line by line, are cut back to the checkpoint when a run resumes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from compiler.files import share, write_text
from dsl import files
from dsl.space import Space
from runtime.errors import UserError

SEARCH, TRAIN, TRAIN_SEEDS = "search", "train", "train_seeds"  # the jobs, in `settings.json`
FORMAT = 1  # of every JSON file; another number is another program's folder
SETTINGS, METRICS, CHECKPOINT = "settings.json", "metrics.jsonl", "checkpoint.json"
BEST, LAST, RESULT = "best.safetensors", "last.safetensors", "result.json"
MOST_EPOCHS = 10**9
_TENSORS = re.compile(r"checkpoint-\d{6}\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """The state after `epoch` finished epochs; `tensors` by name."""

    epoch: int
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run. Methods raise a UserError where the disk or the folder is at fault."""

    path: Path

    @property
    def genotype(self) -> Path:
        return self.path / "genotype.yaml"

    @property
    def model(self) -> Path:
        return self.path / "model.py"

    @property
    def result(self) -> Path | None:
        """Where the result of a run is that has nothing left to do; None where there is more."""
        if not (self.path / CHECKPOINT).is_file():
            return None
        settings, checkpoint = self.read_settings(), self._read_json(CHECKPOINT)
        resolved = settings.get("settings")
        epochs = resolved.get("epochs") if isinstance(resolved, dict) else None
        result = self.path / RESULT if settings.get("job") == TRAIN else self.model
        done = epochs is not None and checkpoint.get("epoch") == epochs
        return result if done and result.is_file() else None

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        self._write_json(SETTINGS, settings)

    def read_settings(self) -> dict[str, Any]:
        return self._read_json(SETTINGS)

    def write_result(self, result: Mapping[str, Any]) -> None:
        self._write_json(RESULT, result)

    def write_weights(
        self, name: str, tensors: dict[str, Tensor], about: dict[str, str] | None = None
    ) -> None:
        """Tensors on the host by their names in the state dict, none of them sharing memory, and
        what one must know to use them."""
        with disk_faults():
            _save_tensors(tensors, self.path / name, about)

    def read_weights(self, name: str) -> dict[str, Tensor]:
        try:
            return load_file(self.path / name)
        except (OSError, SafetensorError) as error:
            raise self._damaged(name) from error

    def write_space(self, space: Space) -> str:
        """Copies the program's files but shipped ones that it imports; returns the space's name.

        They keep their places beside each other, so the copy loads.
        """
        source = space.source
        assert source.path is not None
        for other in space.scopes:
            assert other.path is not None
            if other is source:
                place = self.path / source.path.name
            elif other.path.resolve().parent == files.SHIPPED:
                continue
            else:
                place = self.path / os.path.relpath(other.path, source.path.parent)
            with disk_faults():
                place.parent.mkdir(parents=True, exist_ok=True)
                write_text(place, other.text)
        return source.path.name

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        with disk_faults(), (self.path / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def read_metrics(self) -> list[dict[str, Any]]:
        """The lines so far, of a run that may be going on: one that is torn is left out."""
        written = self._metrics()
        try:
            lines = [self._line(text) for text in written[:-1]]
        except ValueError as error:
            raise self._damaged(METRICS) from error
        with suppress(ValueError):  # the last one is being written, or a run was cut off there
            lines += [self._line(text) for text in written[-1:]]
        return lines

    def metrics_until(self, epoch: int) -> list[dict[str, Any]]:
        """The lines of the first `epoch` epochs; later ones, whole or torn, leave the file."""
        written = self._metrics()
        try:
            lines = [self._line(text) for text in written[:epoch]]
        except ValueError as error:
            raise self._damaged(METRICS) from error
        if [line["epoch"] for line in lines] != list(range(1, epoch + 1)):
            raise self._damaged(METRICS)
        with disk_faults():
            write_text(self.path / METRICS, "".join(f"{line}\n" for line in written[:epoch]))
        return lines

    def _metrics(self) -> list[str]:
        path = self.path / METRICS
        try:
            return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        except (OSError, ValueError) as error:
            raise self._damaged(METRICS) from error

    def _line(self, text: str) -> dict[str, Any]:
        """A line of the metrics; a ValueError where it is none."""
        line = _parsed(text)
        if not isinstance(line, dict) or type(line.get("epoch")) is not int:
            raise ValueError("no line of metrics")
        return line

    def write_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Replaces the checkpoint. The JSON that names the new tensors comes last: until it is
        in place the old pair holds, and from then on the new one."""
        name = f"checkpoint-{checkpoint.epoch:06}.safetensors"
        with disk_faults():
            _save_tensors(checkpoint.tensors, self.path / name)
            about = {"format": FORMAT, "epoch": checkpoint.epoch, "tensors": name}
            write_text(self.path / CHECKPOINT, json.dumps(about) + "\n")
            for other in self.path.iterdir():
                if _TENSORS.fullmatch(other.name) and other.name != name:
                    other.unlink()

    def read_checkpoint(self) -> Checkpoint:
        about = self._read_json(CHECKPOINT)
        name, epoch = about.get("tensors"), about.get("epoch")
        if not isinstance(name, str) or not _TENSORS.fullmatch(name):
            raise self._damaged(CHECKPOINT)
        if type(epoch) is not int or not 0 <= epoch < MOST_EPOCHS:
            raise self._damaged(CHECKPOINT)
        try:
            return Checkpoint(epoch, load_file(self.path / name))
        except (OSError, SafetensorError) as error:
            raise self._damaged(name) from error

    def _write_json(self, name: str, value: Mapping[str, Any]) -> None:
        text = json.dumps({"format": FORMAT, **value}, indent=2, ensure_ascii=False)
        with disk_faults():
            write_text(self.path / name, text + "\n")

    def _read_json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        if not path.is_file():
            raise UserError(f"{self.path} is no folder of a run: it has no `{name}`")
        try:
            value = _parsed(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self._damaged(name) from error
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise UserError(f"{path} was not written by this version of dartsc: start a new run")
        return value

    def damaged_metrics(self) -> UserError:
        return self._damaged(METRICS)

    def _damaged(self, name: str) -> UserError:
        return UserError(f"{self.path / name} is missing or damaged: start a new run")


def _parsed(text: str) -> Any:
    """What JSON says; a ValueError where it says nothing."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def create(name: str, out: str | Path | None = None) -> RunFolder:
    """A new folder for a run of the space called `name`: `out`, or else `runs/<name>-<number>`.

    Raises:
        UserError: when `out` is taken or cannot be made; an existing folder is never written over.
    """
    with disk_faults():
        if out is None:
            return RunFolder(_next_folder(Path("runs"), name))
        path = Path(out)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UserError(f"{path} exists already: name a new folder, or use `--resume {path}`")
        path.mkdir(parents=True, exist_ok=True)
        return RunFolder(path)


@contextmanager
def begun(name: str, out: str | Path | None = None) -> Iterator[RunFolder]:
    """A new folder, as `create` makes it, to write all that a run can be resumed from.

    It is gone again where that fails within.
    """
    folder = create(name, out)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise


def open_folder(path: str | Path) -> RunFolder:
    """The folder of a run that exists.

    Raises:
        UserError: when there is no such folder.
    """
    if not Path(path).is_dir():
        raise UserError(f"there is no folder {path}: name that of a run")
    return RunFolder(Path(path))


def _next_folder(parent: Path, name: str) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        try:
            (parent / f"{name}-{number}").mkdir()
            return parent / f"{name}-{number}"
        except FileExistsError:
            number += 1


def _save_tensors(
    tensors: dict[str, Tensor], place: Path, about: dict[str, str] | None = None
) -> None:
    temporary = place.with_name(f".{place.name}.partial")
    try:
        save_file(tensors, temporary, about)
        share(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, place)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def disk_faults() -> Iterator[None]:
    """The operating system's refusals as one line that names the file."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        where = getattr(error, "filename", None)
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"cannot write {where or 'the run'}: {reason}") from error
