"""An editor for the server's tests: it speaks JSON-RPC to a server in a process of its own."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from runtime.server.documents import Document, Documents, uri_of

ROOT = Path(__file__).resolve().parents[3]
SERVE = "from runtime.server import serve; serve()"
PATIENCE = 60
"""Seconds after which a message that has not come counts as missing."""


class Editor:
    """Speaks to a server. Messages that nobody waited for yet are kept in `others`."""

    def __init__(self, program: str = SERVE, encodings: list[str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self.others: list[dict[str, Any]] = []
        self.errors: list[bytes] = []
        self.last = 0
        self.threads = [threading.Thread(target=f) for f in (self.receive, self.listen)]
        for thread in self.threads:
            thread.start()
        general = {} if encodings is None else {"positionEncodings": encodings}
        self.capabilities = self.request(
            "initialize", processId=None, rootUri=None, capabilities={"general": general}
        )["capabilities"]
        self.notify("initialized")

    def receive(self) -> None:
        assert self.process.stdout is not None
        while header := self.process.stdout.readline():
            length = 0
            while header.strip():
                name, _, value = header.decode("ascii").partition(":")
                length = int(value) if name.lower() == "content-length" else length
                header = self.process.stdout.readline()
            self.messages.put(json.loads(self.process.stdout.read(length)))

    def listen(self) -> None:
        assert self.process.stderr is not None
        self.errors.extend(self.process.stderr)

    def send(self, **message: Any) -> None:
        assert self.process.stdin is not None
        content = json.dumps({"jsonrpc": "2.0", **message}).encode("utf-8")
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(content), content))
        self.process.stdin.flush()

    def notify(self, method: str, **params: Any) -> None:
        self.send(method=method, params=params)

    def request(self, method: str, **params: Any) -> Any:
        """The answer to a request."""
        self.last += 1
        number = self.last
        self.send(id=number, method=method, params=params)
        answer = self.wait(lambda message: message.get("id") == number)
        assert "error" not in answer, answer
        return answer["result"]

    def wait(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next message of which `wanted` holds."""
        for message in self.others:
            if wanted(message):
                self.others.remove(message)
                return message
        while True:
            message = self.messages.get(timeout=PATIENCE)
            if wanted(message):
                return message
            self.others.append(message)

    def open(self, path: Path, text: str) -> str:
        """Opens a text as the file of that path, and gives its URI."""
        document = {"uri": uri_of(path), "languageId": "darts", "version": 1, "text": text}
        self.notify("textDocument/didOpen", textDocument=document)
        return str(document["uri"])

    def change(self, uri: str, text: str, version: int) -> None:
        document = {"uri": uri, "version": version}
        self.notify(
            "textDocument/didChange", textDocument=document, contentChanges=[{"text": text}]
        )

    def diagnostics(self, uri: str, version: int | None = 1) -> list[dict[str, Any]]:
        """What the server says next about a version of a document (None: one that is not open)."""

        def is_it(message: dict[str, Any]) -> bool:
            params = message.get("params", {})
            named = message.get("method"), params.get("uri"), params.get("version")
            return named == ("textDocument/publishDiagnostics", uri, version)

        found: list[dict[str, Any]] = self.wait(is_it)["params"]["diagnostics"]
        return found

    def ask(self, what: str, uri: str, text: str, mark: str, **more: Any) -> Any:
        """A request about the place in a text where `mark` first stands."""
        before = text[: text.index(mark)]
        position = {"line": before.count("\n"), "character": len(before.rpartition("\n")[2])}
        document = {"uri": uri}
        return self.request(
            f"textDocument/{what}", textDocument=document, position=position, **more
        )

    def leave(self) -> int:
        """Ends the server and gives its exit code."""
        self.request("shutdown")
        self.notify("exit")
        code = self.process.wait(PATIENCE)
        for thread in self.threads:
            thread.join(PATIENCE)
        return code

    def __enter__(self) -> Editor:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        for thread in self.threads:
            thread.join(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Editor]]:
    """Starts a server, which does not outlive the test."""
    with ExitStack() as stack:
        yield lambda *args, **more: stack.enter_context(Editor(*args, **more))


@pytest.fixture
def editor(start: Callable[..., Editor]) -> Editor:
    return start()


@pytest.fixture
def open_text(tmp_path: Path) -> Callable[..., tuple[Documents, Document]]:
    """Opens a text as `main.darts` of a folder, without a server around it."""

    def opened(text: str, **others: str) -> tuple[Documents, Document]:
        for name, other in others.items():
            (tmp_path / f"{name}.darts").write_text(other, encoding="utf-8")
        documents = Documents()
        uri = uri_of(tmp_path / "main.darts")
        documents.put(uri, text, 1)
        return documents, documents.open[uri]

    return opened
