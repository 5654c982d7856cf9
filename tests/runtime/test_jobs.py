"""Going on with a run finds out which job it was."""

import json

import pytest

from runtime import bilevel_search, training
from runtime.errors import UserError
from runtime.jobs import resume


@pytest.mark.parametrize(
    ("record", "module", "function"),
    [
        ({"job": "train"}, training, "resume_training"),
        ({"job": "search"}, bilevel_search, "resume"),
    ],
)
def test_the_settings_say_which(tmp_path, monkeypatch, record, module, function):
    (tmp_path / "settings.json").write_text(json.dumps({"format": 1, **record}))
    given = []
    monkeypatch.setattr(module, function, lambda folder, **options: given.append((folder, options)))
    resume(tmp_path, data="topics", device="cpu")
    assert given == [(tmp_path, {"data": "topics", "device": "cpu", "progress": None})]


def test_a_folder_that_is_no_run_is_told(tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        resume(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no folder of a run"):
        resume(tmp_path)
