"""Random texts for the compiler: each is a space or has diagnostics, quickly, and formats stably.

`python tests/fuzz.py --inputs 10000 --seed 0`: half of the texts are derived from the grammar, half
are damaged files. Ends with 1 at the first text that shows a fault of ours, and prints it. Text `i`
of a seed depends on the two alone, so `--first i --inputs 1` brings it back.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from types import FrameType

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fuzz_grammar import derived  # noqa: E402
from fuzz_mutants import mutant  # noqa: E402

from compiler.describe import check  # noqa: E402
from dsl import DartsError, load_text, render  # noqa: E402
from dsl.codes import CODES  # noqa: E402
from dsl.files import SHIPPED  # noqa: E402
from dsl.layout import formatted, printed  # noqa: E402
from dsl.parse import parse  # noqa: E402
from dsl.source import Source  # noqa: E402

LIMIT = 1.0
"""The most seconds of processor time that a check may take."""
HANGS = 20.0


class Fault(Exception):
    """What is wrong with the compiler, shown by one text."""


@dataclass(frozen=True)
class Outcome:
    """What became of a text: its codes, and whether it is a file by the grammar."""

    codes: frozenset[str]
    parsed: bool

    @property
    def valid(self) -> bool:
        return all(code.startswith("W") for code in self.codes)


def judged(text: str) -> Outcome:
    """What the compiler makes of a text.

    Raises:
        Fault: where it fails, dawdles, or a law of the formatter does not hold.
    """
    start = time.process_time()
    try:
        try:
            codes = _checked(text)
        finally:
            took = time.process_time() - start
        parsed = _formats(text)
    except Fault:
        raise
    except Exception:
        raise Fault(traceback.format_exc()) from None
    if took > LIMIT:
        raise Fault(f"checking takes {took:.1f} seconds")
    return Outcome(codes, parsed)


def _checked(text: str) -> frozenset[str]:
    """The codes that a text gets; each diagnostic is also drawn."""
    try:
        found = check(load_text(text, folder=SHIPPED))
    except DartsError as error:
        found = error.diagnostics
        if not any(diagnostic.severity == "error" for diagnostic in found):
            raise Fault("an error without a diagnostic") from None
    for diagnostic in found:
        if diagnostic.code not in CODES:
            raise Fault(f"no code {diagnostic.code}: {diagnostic.message}")
    if found and not (render(found) and render(found, color=True)):
        raise Fault("diagnostics without a picture")
    return frozenset(diagnostic.code for diagnostic in found)


def _formats(text: str) -> bool:
    """Whether a text parses; then formatting keeps what it says, and is done after one time."""
    try:
        file = parse(Source("<text>", text))
    except DartsError:
        return False
    plain, laid_out = printed(file), formatted(Source("<text>", text))
    if parse(Source("<text>", plain)) != file:
        raise Fault("printing changes the program:\n" + plain)
    if parse(Source("<text>", laid_out)) != file:
        raise Fault("formatting changes the program:\n" + laid_out)
    again = formatted(Source("<text>", laid_out))
    if again != laid_out:
        raise Fault(f"formatting twice differs:\n{laid_out}\n----\n{again}")
    return True


def texts(inputs: int, seed: int, first: int = 0) -> Iterator[tuple[int, str]]:
    """Numbered texts, derived ones and damaged ones in turn."""
    for number in range(first, first + inputs):
        draw = Random(f"{seed}:{number}")
        yield number, (mutant if number % 2 else derived)(draw)


def more(wanted: int, given: argparse.Namespace) -> Iterator[tuple[int, str]]:
    """So many derived texts that parse: the laws of the formatter are tried on no fewer texts."""
    found = 0
    for number in count(given.first + given.inputs + given.inputs % 2, 2):
        if found >= wanted or given.first:
            return
        text = derived(Random(f"{given.seed}:{number}"))
        try:
            parse(Source("<text>", text))
        except DartsError:
            continue
        found += 1
        yield number, text


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--inputs", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--first", type=int, default=0)
    given = options.parse_args()
    signal.signal(signal.SIGPROF, _interrupted)
    seen: Counter[str] = Counter()
    valid = parsed = 0
    for number, text in texts(given.inputs, given.seed, given.first):
        signal.setitimer(signal.ITIMER_PROF, HANGS)
        try:
            outcome = judged(text)
        except Fault as fault:
            print(f"{text}\n\nseed {given.seed}, text {number}: {fault}")
            return 1
        seen.update(outcome.codes)
        valid += outcome.valid
        parsed += outcome.parsed
    laws = parsed
    for number, text in more(given.inputs - parsed, given):
        signal.setitimer(signal.ITIMER_PROF, HANGS)
        try:
            laws += _formats(text)
        except Fault as fault:
            print(f"{text}\n\nseed {given.seed}, text {number}: {fault}")
            return 1
    signal.setitimer(signal.ITIMER_PROF, 0)
    print(f"{given.inputs} texts: {valid} valid, {given.inputs - valid} faulty, {parsed} parse")
    print(f"the laws of the formatter hold on {laws} texts that parse")
    print("codes: " + ", ".join(f"{code} {seen[code]}" for code in sorted(seen)))
    return 0


def _interrupted(_signal: int, _frame: FrameType | None) -> None:
    raise Fault(f"still busy after {HANGS:.0f} seconds")


if __name__ == "__main__":
    sys.exit(main())
