"""Alphas of a search at each of its epochs, and of files, come to the genotypes that they had."""

import json

import pytest
import torch
from safetensors.torch import save_file
from support import RNN
from tiny import SPACE, StopAt, space_in

import compiler
from compiler import Genotype
from compiler.derive import derive
from dsl import DartsError
from runtime import alphas
from runtime.bilevel_search import search
from runtime.errors import UserError
from runtime.guard import Interrupted
from runtime.rundir import RunFolder
from runtime.state import host_copies
from runtime.training import train


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search of three epochs, whose genotype changes."""
    folder = tmp_path_factory.mktemp("search")
    return search(space_in(folder), None, folder / "run", device="cpu", epochs=3, alpha_lr=1.0)


def genotype_of(found):
    return derive(found.kinds, found.alphas).genotype


def refusal(action):
    with pytest.raises(UserError) as found:
        action()
    message = str(found.value)
    assert "\n" not in message
    return message


def test_every_epoch_derives_to_what_its_line_says(searched):
    lines = [json.loads(n) for n in (searched.folder / "metrics.jsonl").read_text().splitlines()]
    assert len({line["genotype"] for line in lines}) > 1
    for line in lines:
        found = alphas.of_run(searched.folder, line["epoch"])
        assert found.epoch == line["epoch"]
        assert str(genotype_of(found)) == line["genotype"]
    last = alphas.of_run(searched.folder)
    assert last.epoch == 3
    assert genotype_of(last) == Genotype.load(searched.folder / "genotype.yaml")


def test_the_last_alphas_are_those_of_the_checkpoint(searched):
    (checkpoint,) = searched.folder.glob("*.safetensors")
    found = alphas.of_file(searched.folder / "tiny.darts", checkpoint, channels=1)
    assert found.epoch is None
    assert found.alphas == alphas.of_run(searched.folder).alphas


@pytest.mark.parametrize("space", [None, RNN])
def test_a_supernet_s_state_dict_holds_its_alphas(tmp_path, space):
    space = space or space_in(tmp_path)
    torch.manual_seed(3)
    net = compiler.build(space)
    for tensor in net.arch_parameters():
        tensor.data.normal_()
    path = tmp_path / "net.safetensors"
    save_file(host_copies(net.state_dict()), path)
    found = alphas.of_file(space, path)
    assert [kind.name for kind in found.kinds] == list(found.alphas)
    rows = [row for tensor in net.arch_parameters() for row in tensor.tolist()]
    assert [row for kind in found.alphas.values() for row in kind] == rows
    assert genotype_of(found) == net.genotype()
    bare = tmp_path / "alphas.safetensors"
    save_file({name: tensor.detach().clone() for name, tensor in net.alphas.items()}, bare)
    assert alphas.of_file(space, bare).alphas == found.alphas


def test_several_stacks_of_a_kind_are_put_in_the_order_of_the_program(tmp_path):
    """Decisions of unlike numbers of options have tensors of their own."""
    other = "    late = x -> choose { skip, avg_pool(3) as pool, none }\n    node"
    space = space_in(tmp_path, SPACE.replace("    node", other).replace("n[1]", "n[1] + late"))
    net = compiler.build(space)
    for tensor in net.arch_parameters():
        tensor.data.normal_()
    save_file(host_copies(net.state_dict()), path := tmp_path / "net.safetensors")
    assert len(list(net.arch_parameters())) == 2
    assert genotype_of(alphas.of_file(space, path)) == net.genotype()


def test_a_running_search_with_a_torn_line_is_read_as_far_as_it_is(tmp_path):
    folder = tmp_path / "run"
    space, how = space_in(tmp_path), {"device": "cpu", "epochs": 3}
    with pytest.raises(Interrupted):
        search(space, None, folder, progress=StopAt(5), **how)  # two steps an epoch
    lines = (folder / "metrics.jsonl").read_text()
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(lines.splitlines()[0][:40])
    found = alphas.of_run(folder)
    assert found.epoch == 2
    assert str(genotype_of(found)) == json.loads(lines.splitlines()[1])["genotype"]
    assert "has no epoch 3: it has 1 to 2" in refusal(lambda: alphas.of_run(folder, 3))


def test_a_search_is_read_at_the_sizes_of_its_data(tmp_path):
    """Here there are as many nodes as those have classes, and not as the file says."""
    text = SPACE.replace("classes = 10", "classes = 2").replace("normal from x", "normal(k) from x")
    text = text.replace("{ normal }", "{ normal(classes) }").replace("n[2]", "n[k]")
    space = space_in(tmp_path, text.replace("return n[1]", "return n[-1]"))
    result = search(space, None, tmp_path / "run", device="cpu", epochs=1)
    assert len(result.genotype.cells["normal"].decisions) == 10
    assert genotype_of(alphas.of_run(tmp_path / "run")) == result.genotype


def test_a_search_without_an_epoch_has_no_alphas_yet(tmp_path):
    with pytest.raises(Interrupted):
        search(space_in(tmp_path), None, tmp_path / "run", device="cpu", progress=StopAt(1))
    message = refusal(lambda: alphas.of_run(tmp_path / "run"))
    assert "has no alphas yet: its first epoch is not over" in message


def test_what_is_no_search_is_told(tmp_path, searched):
    assert "there is no folder" in refusal(lambda: alphas.of_run(tmp_path / "nowhere"))
    assert "is no folder of a run" in refusal(lambda: alphas.of_run(tmp_path))
    space = searched.folder / "tiny.darts"
    trained = train(space, searched.genotype, None, tmp_path / "t", device="cpu", epochs=1)
    assert "is a training: only a search has alphas" in refusal(
        lambda: alphas.of_run(trained.folder)
    )
    RunFolder(tmp_path).write_settings({"job": "train_seeds"})
    assert "is no search: only a search has alphas" in refusal(lambda: alphas.of_run(tmp_path))
    RunFolder(tmp_path).write_settings({"job": "search", "space": "tiny.darts"})
    space_in(tmp_path)
    assert "settings.json is damaged" in refusal(lambda: alphas.of_run(tmp_path))


def metrics_with(folder, target, change):
    """A copy of the run whose last line's alphas are changed."""
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    lines = (target / "metrics.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    change(last["alphas"])
    (target / "metrics.jsonl").write_text("\n".join([*lines[:-1], json.dumps(last)]) + "\n")
    return target


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found.clear(), "has no alphas `normal_0`: they are not of this space"),
        (lambda found: found["normal_0"].pop(), "are 2×4, and this space has 3×4"),
        (lambda found: found["normal_0"][1].pop(), "and this space has 3×4"),
        (lambda found: found["normal_0"].clear(), "are 0×0, and this space has 3×4"),
        (lambda found: found["normal_0"][2].__setitem__(1, float("nan")), "not all finite numbers"),
    ],
)
def test_damaged_metrics_are_told_in_a_line(tmp_path, searched, change, message):
    folder = metrics_with(searched.folder, tmp_path / "run", change)
    assert message in refusal(lambda: alphas.of_run(folder))
    assert alphas.of_run(folder, 1).epoch == 1  # the others are as they were


def test_files_of_other_spaces_are_refused(tmp_path, searched):
    space = searched.folder / "tiny.darts"
    path = tmp_path / "a.safetensors"

    def told(tensors):
        save_file(tensors, path)
        return refusal(lambda: alphas.of_file(space, path))

    assert "has no alphas `normal_0`" in told({"alphas.reduce_0": torch.zeros(3, 4)})
    assert "has no alphas `normal_0`" in told({"normal_0": torch.zeros(12)})
    assert "are 14×8, and this space has 3×4" in told({"alphas.normal_0": torch.zeros(14, 8)})
    assert "are 0×0, and this space has 3×4" in told({"normal_0": torch.zeros(0, 4)})
    assert "not all finite" in told({"normal_0": torch.full((3, 4), torch.inf)})
    save_file({"normal_0": torch.zeros(3, 4)}, saved := tmp_path / "good.safetensors")
    path.write_text("no weights")
    assert "is no safetensors file that can be read" in refusal(lambda: alphas.of_file(space, path))
    assert "there are no weights" in refusal(lambda: alphas.of_file(space, tmp_path / "b"))
    with pytest.raises(DartsError, match="lrr"):
        alphas.of_file(space, saved, lrr=1)
