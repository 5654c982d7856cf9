"""The command line as a function, for tests of what it does."""

import pytest

from runtime.cli import USERS_FAULT, run


@pytest.fixture
def dartsc(capsys, tmp_path, monkeypatch):
    """Runs the command in an empty folder; gives what it prints."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def perform(*arguments):
        code = run([str(argument) for argument in arguments])
        told = capsys.readouterr()
        assert (code, told.err) == (0, ""), told.err
        return told.out

    return perform


@pytest.fixture
def refused(capsys, tmp_path, monkeypatch):
    """Runs the command in an empty folder, which stays empty; gives the line that it ends with."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")

    def perform(*arguments):
        assert run([str(argument) for argument in arguments]) == USERS_FAULT
        told = capsys.readouterr()
        assert told.err.count("\n") == 1 and told.out == ""
        assert not list((tmp_path / "empty").iterdir())
        return told.err

    return perform
