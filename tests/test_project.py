"""What `pyproject.toml` says is so."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CODE = ("dsl", "compiler", "runtime")


def name(requirement: str) -> str:
    return requirement.split(">")[0].strip().lower()


def test_every_package_is_listed() -> None:
    folders = {p.parent for folder in CODE for p in (ROOT / folder).rglob("*.py")}
    found = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == found | {"spaces"}


def test_every_import_is_a_dependency() -> None:
    """What the code imports is required, and what is required is imported."""
    imported = set()
    for path in (p for folder in CODE for p in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.split(".")[0])
    outside = imported - set(CODE) - set(sys.stdlib_module_names)
    homes = packages_distributions()
    found = {homes[module][0].lower() for module in outside}
    needed = [
        *PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"]["lsp"],
    ]
    # Pygments itself loads the lexer, as one of its plugins; Triton comes with torch where it runs.
    assert found - {"pygments", "triton"} == {name(r) for r in needed}


def test_data_files_are_packaged() -> None:
    data = PROJECT["tool"]["setuptools"]["package-data"]
    for folder in (*CODE, "spaces"):
        patterns = data[folder]
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                assert any(path.match(pattern) for pattern in patterns), path


def test_version_without_installation(tmp_path: Path) -> None:
    """From a bare copy of the sources the command says so, in place of failing."""
    program = (
        "from importlib import metadata\n"
        "def missing(name): raise metadata.PackageNotFoundError(name)\n"
        "metadata.version = missing\n"
        "from runtime.cli import run\n"
        "raise SystemExit(run(['--version']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "dartsc from source\n")


def test_licence() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "Copyright The dartsc authors" in text
