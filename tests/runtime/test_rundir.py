"""A run's folder: nothing is written over, a checkpoint is whole or the old one, damage is told."""

import json

import pytest
import torch
from safetensors import safe_open

import dsl
from dsl.flatten import flattened
from dsl.layout import printed
from runtime import rundir
from runtime.errors import UserError
from runtime.rundir import Checkpoint


def checkpoint(epoch):
    return Checkpoint(epoch, {"a": torch.full((2,), float(epoch)), "b": torch.arange(3)})


@pytest.fixture
def folder(tmp_path):
    return rundir.create("cell", tmp_path / "run")


def test_runs_are_numbered_and_never_written_over(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [str(rundir.create("cell").path) for _ in range(2)] == ["runs/cell-1", "runs/cell-2"]
    (tmp_path / "mine").mkdir()
    rundir.create("cell", "mine")  # an empty folder may be used
    (tmp_path / "mine" / "notes").write_text("")
    with pytest.raises(UserError, match="mine exists already"):
        rundir.create("cell", "mine")
    with pytest.raises(UserError, match="exists already"):
        rundir.create("cell", "mine/notes")
    with pytest.raises(UserError, match="cannot write"):
        rundir.create("cell", "mine/notes/run")


def test_a_checkpoint_comes_back_and_replaces_the_one_before(folder):
    for epoch in (0, 1):
        folder.write_checkpoint(checkpoint(epoch))
        back = folder.read_checkpoint()
        assert back.epoch == epoch
        assert all(torch.equal(v, back.tensors[k]) for k, v in checkpoint(epoch).tensors.items())
    assert sorted(p.name for p in folder.path.iterdir()) == [
        "checkpoint-000001.safetensors",
        "checkpoint.json",
    ]


@pytest.mark.parametrize("dies_at", [0, 1])  # before the tensors move to their place, or the JSON
def test_a_checkpoint_cut_short_leaves_the_old_one(folder, monkeypatch, dies_at):
    folder.write_checkpoint(checkpoint(1))
    replace, calls = rundir.os.replace, []

    def dying(source, target):
        calls.append(target)
        if len(calls) > dies_at:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(rundir.os, "replace", dying)
    with pytest.raises(KeyboardInterrupt):
        folder.write_checkpoint(checkpoint(2))
    monkeypatch.undo()
    assert folder.read_checkpoint().epoch == 1
    folder.write_checkpoint(checkpoint(2))
    assert len(list(folder.path.iterdir())) == 2  # strays went with the old one


@pytest.mark.parametrize("damage", ["missing", "short", "text", "path"])
def test_a_damaged_checkpoint_is_told_in_a_line(folder, damage):
    folder.write_checkpoint(checkpoint(1))
    tensors = folder.path / "checkpoint-000001.safetensors"
    about = folder.path / "checkpoint.json"
    if damage == "missing":
        tensors.unlink()
    elif damage == "short":
        tensors.write_bytes(tensors.read_bytes()[:-5])
    elif damage == "text":
        about.write_text("{")
    else:
        about.write_text(json.dumps({"format": 1, "epoch": 1, "tensors": "../other.safetensors"}))
    with pytest.raises(UserError, match="missing or damaged: start a new run"):
        folder.read_checkpoint()


def test_foreign_folders_are_told_apart(tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        rundir.open_folder(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no folder of a run: it has no `settings.json`"):
        rundir.open_folder(tmp_path).read_settings()
    (tmp_path / "settings.json").write_text('{"format": 99}')
    with pytest.raises(UserError, match="not written by this version"):
        rundir.open_folder(tmp_path).read_settings()


def test_metrics_after_an_epoch_are_cut_off(folder):
    for epoch in (1, 2, 3):
        folder.append_metrics({"epoch": epoch, "loss": 0.1})
    with (folder.path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 4, "lo')
    assert [line["epoch"] for line in folder.metrics_until(2)] == [1, 2]
    assert (folder.path / "metrics.jsonl").read_text().count("\n") == 2
    with pytest.raises(UserError, match="missing or damaged"):
        folder.metrics_until(3)


def test_the_copy_of_a_space_loads_without_the_original(folder, tmp_path):
    source = tmp_path / "source"
    (source / "parts").mkdir(parents=True)
    text = (rundir.files.SHIPPED / "cifar_cell.darts").read_text()
    (source / "mine.darts").write_text(text.replace("import std", "import std\nimport parts/ops"))
    (source / "parts" / "ops.darts").write_text("language 1\nop twice = relu -> relu\n")
    name = folder.write_space(dsl.load(source / "mine.darts"))
    assert name == "mine.darts"
    written = {str(p.relative_to(folder.path)) for p in folder.path.rglob("*.darts")}
    assert written == {"mine.darts", "parts/ops.darts"}
    (source / "parts" / "ops.darts").unlink()
    assert dsl.load(folder.path / name).name == "mine"


def test_metrics_of_a_run_that_goes_on_are_read_without_a_torn_line(folder):
    assert folder.read_metrics() == []
    for epoch in (1, 2):
        folder.append_metrics({"epoch": epoch, "genotype": "conv"})
    whole = (folder.path / "metrics.jsonl").read_bytes()
    assert [line["epoch"] for line in folder.read_metrics()] == [1, 2]
    line = whole[: len(whole) // 2]
    for torn in (1, 10, len(line) - 2):
        (folder.path / "metrics.jsonl").write_bytes(whole + line[:torn])
        lines = folder.read_metrics()
        assert [line["epoch"] for line in lines] == [1, 2], torn
        assert lines[1]["genotype"] == "conv"
    assert (folder.path / "metrics.jsonl").read_bytes() != whole  # which reading does not repair


def test_weights_have_notes_beside_them(folder):
    tensors, notes = {"a": torch.arange(3.0)}, {"words": '["ä"]'}
    folder.write_weights("best.safetensors", tensors, notes)
    with safe_open(folder.path / "best.safetensors", framework="pt") as file:
        assert file.metadata() == notes
    assert torch.equal(folder.read_weights("best.safetensors")["a"], tensors["a"])
    folder.write_weights("best.safetensors", {"a": torch.zeros(1)})  # replaces the notes too
    with safe_open(folder.path / "best.safetensors", framework="pt") as file:
        assert file.metadata() is None
    assert [p.name for p in folder.path.iterdir()] == ["best.safetensors"]


@pytest.mark.parametrize("content", [None, b"", b"\0" * 100, b"{}"])
def test_damaged_weights_are_told_in_a_line(folder, content):
    if content is not None:
        (folder.path / "last.safetensors").write_bytes(content)
    with pytest.raises(
        UserError, match=r"last\.safetensors is missing or damaged: start a new run"
    ):
        folder.read_weights("last.safetensors")


def test_a_result_is_where_a_finished_run_s_is(folder):
    assert folder.result is None
    folder.write_settings({"job": "train", "settings": {"epochs": 2}})
    folder.write_checkpoint(checkpoint(2))
    assert folder.result is None
    folder.write_result({"accuracy": 0.5})
    assert folder.result == folder.path / "result.json"
    assert json.loads(folder.result.read_text()) == {"format": 1, "accuracy": 0.5}
    folder.write_checkpoint(checkpoint(1))
    assert folder.result is None


def test_a_refusal_of_the_disk_is_one_line_that_names_the_file(folder, monkeypatch):
    (folder.path / "metrics.jsonl").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*metrics\.jsonl: Is a directory"):
        folder.append_metrics({})
    (folder.path / "result.json").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*result\.json: it is a folder"):
        folder.write_result({})

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rundir, "save_file", full)
    with pytest.raises(UserError, match="cannot write the run: No space left on device"):
        folder.write_weights("best.safetensors", {"a": torch.zeros(1)})


def test_the_copy_of_a_space_that_extends_another_is_that_space(tmp_path):
    """With the file that it extends beside it; what that finds among the shipped stays there."""
    (tmp_path / "sub").mkdir()
    mine = "language 1\nextend cifar_cell\nop a(stride = 1) = conv(3, stride: stride)\n"
    (tmp_path / "sub" / "mine.darts").write_text(mine)
    text = "language 1\nextend sub/mine\nset candidates = { skip, a }\n"
    (tmp_path / "main.darts").write_text(text)
    space = dsl.load(tmp_path / "main.darts")
    folder = rundir.create(space.name, tmp_path / "run")
    assert folder.write_space(space) == "main.darts"
    paths = (p.relative_to(folder.path) for p in folder.path.rglob("*.darts"))
    assert sorted(map(str, paths)) == ["main.darts", "sub/mine.darts"]
    copy = dsl.load(folder.path / "main.darts")
    assert printed(flattened(copy)) == printed(flattened(space))
