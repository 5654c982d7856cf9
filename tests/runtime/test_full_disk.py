"""A disk that is full at any write of a run: one line, and the run goes on once there is room."""

import errno
import json
import os
import tempfile

import pytest
from tiny import GENOTYPE, coloured, space_in

from runtime import rundir
from runtime.bilevel_search import search
from runtime.errors import UserError
from runtime.jobs import resume
from runtime.progress import Silent
from runtime.rundir import RunFolder
from runtime.training import train

OPERATIONS = [(rundir, "save_file"), (os, "replace"), (os, "fsync"), (tempfile, "mkstemp")]


class Disk(Silent):
    """Counts the operations that need room from the end of the first epoch on; one of them has
    none."""

    def __init__(self, monkeypatch, full_at=None):
        self.full_at, self.done, self.counting = full_at, [], False
        for module, name in OPERATIONS:
            monkeypatch.setattr(module, name, self.counted(name, getattr(module, name)))

    def counted(self, name, operation):
        def perform(*arguments, **options):
            if self.counting:
                self.done.append(name)
                if len(self.done) - 1 == self.full_at:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return operation(*arguments, **options)

        return perform

    def epoch(self, line):
        self.counting = True


def run(job, folder, disk):
    space = folder / "tiny.darts"
    if not space.exists():
        space_in(folder)
    how = {"device": "cpu", "epochs": 2, "subset": 0, "batch": 20, "progress": disk}
    if job == "search":
        return search(space, coloured(), folder / "run", **how)
    return train(space, GENOTYPE, coloured(), folder / "run", lr=0.2, **how)


def content(folder):
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".safetensors":
            tensors = RunFolder(folder).read_weights(path.name)
            found[path.name] = {name: tensor.tolist() for name, tensor in tensors.items()}
        else:
            found[path.name] = path.read_text()
    lines = [json.loads(line) for line in found["metrics.jsonl"].splitlines()]
    found["metrics.jsonl"] = [
        {k: v for k, v in n.items() if not k.endswith("seconds")} for n in lines
    ]
    return found


@pytest.mark.parametrize("job", ["search", "train"])
def test_a_full_disk_costs_the_epoch_at_most(tmp_path, job):
    (tmp_path / "whole").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch)
        run(job, tmp_path / "whole", disk)
    expected, operations = content(tmp_path / "whole" / "run"), disk.done
    assert operations.count("save_file") >= (1 if job == "search" else 2)
    assert len(operations) > 10
    for place, name in enumerate(operations):
        (folder := tmp_path / f"{place}-{name}").mkdir()
        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(patch, full_at=place)
            with pytest.raises(UserError, match="No space left on device") as found:
                run(job, folder, disk)
        message = str(found.value)
        assert message.startswith("cannot write ") and "\n" not in message
        assert not list((folder / "run").glob(".*"))  # nothing half-written takes room
        resume(folder / "run", data=coloured(), device="cpu")
        assert content(folder / "run") == expected, place


def test_a_line_of_metrics_that_was_cut_off_is_written_again(tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir()
    run("train", tmp_path / "whole", Silent())
    (folder := tmp_path / "cut").mkdir()
    append = RunFolder.append_metrics

    def half(self, line):
        if line["epoch"] == 2:
            with (self.path / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(line)[:50])
            raise UserError("cannot write metrics.jsonl: No space left on device")
        append(self, line)

    monkeypatch.setattr(RunFolder, "append_metrics", half)
    with pytest.raises(UserError, match="No space left"):
        run("train", folder, Silent())
    monkeypatch.undo()
    resume(folder / "run", data=coloured(), device="cpu")
    assert content(folder / "run") == content(tmp_path / "whole" / "run")
