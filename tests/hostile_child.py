"""Reads texts, as JSON, and says for each what its check takes and finds.

Runs in a process that imports no more than checking needs, so that its memory is that of the check.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import time
from types import FrameType

from compiler.describe import check
from dsl import DartsError, load_text, render

HANGS = 2.0


class Hangs(Exception):
    pass


def taken(text: str) -> tuple[float, int, list[str] | str]:
    """Seconds of processor time, kilobytes of memory more than before, and codes or a failure."""
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, HANGS)
    found: list[str] | str
    try:
        found = [diagnostic.code for diagnostic in check(load_text(text))]
    except DartsError as error:
        found = [diagnostic.code for diagnostic in error.diagnostics]
        render(error.diagnostics, color=True)
    except Exception as error:
        found = repr(error)[:300]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    seconds = time.process_time() - start
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory, found


def _interrupted(_signal: int, _frame: FrameType | None) -> None:
    raise Hangs


if __name__ == "__main__":
    signal.signal(signal.SIGPROF, _interrupted)
    taken("language 1\nimport std\n")
    json.dump([taken(text) for text in json.load(sys.stdin)], sys.stdout)
