"""Importing the package costs nothing."""

import subprocess
import sys

import pytest

import runtime


def test_importing_the_runtime_does_not_import_torch():
    program = "import sys, runtime; sys.exit('torch' in sys.modules or 'compiler' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_names_are_handed_on():
    for name in runtime.__all__:
        assert getattr(runtime, name).__name__ == name
    with pytest.raises(AttributeError, match="no `nonsense`"):
        runtime.nonsense  # noqa: B018
