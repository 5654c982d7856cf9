"""What a person sees: plain lines without a terminal, and a bar that reads losses now and then."""

import io

from rich.console import Console

from runtime.progress import Terminal

METRICS = {
    "epoch": 1, "epochs": 2, "lr": 0.1, "train_loss": 2.0, "train_accuracy": 0.25,
    "valid_loss": 2.1, "valid_accuracy": 0.2, "test_loss": 2.2, "test_accuracy": 0.1,
    "seconds": 1.25, "skips": 3, "genotype": "normal:\n  n0: [a]",
}  # fmt: skip


def run(**options):
    out = io.StringIO()
    terminal = Terminal(Console(file=out, width=100, **options))
    terminal.started("runs/[cell]-1", epochs=2, first=1, steps=2)
    due = terminal.due()
    terminal.step({k: v for k, v in METRICS.items() if isinstance(v, float)} if due else None)
    terminal.epoch(METRICS)
    terminal.stopped()
    return due, out.getvalue()


def test_lines_without_a_terminal():
    due, text = run()
    assert not due  # a line every half minute is enough, so the device is not made to wait
    assert text.splitlines() == [
        "run folder runs/[cell]-1",
        "epoch 1/2  train 2.000 (25.0%)  valid 2.100 (20.0%)  test 2.200 (10.0%)",
        "  normal:",
        "    n0: [a]",
        "  skips: 3  (1.2 s)",
    ]


def test_a_bar_on_a_terminal():
    due, text = run(force_terminal=True)
    assert due
    assert "steps/s" in text and "train 2.000 (25.0%)" in text and "skips: 3" in text


def test_a_plain_line_now_and_then_without_a_terminal(monkeypatch):
    """After half a minute a line tells step, rate, time left and losses."""
    clock = iter([0.0, 40.0, 40.0])
    monkeypatch.setattr("runtime.progress.time.monotonic", lambda: next(clock))
    out = io.StringIO()
    terminal = Terminal(Console(file=out, width=100))
    terminal.started("runs/1", epochs=3, first=1, steps=2)
    assert terminal.due()
    terminal.step({k: v for k, v in METRICS.items() if isinstance(v, float)})
    assert out.getvalue().splitlines()[1] == (
        "epoch 1/3  step 1/2  40 s/step, 0:03:20 left  train 2.000 (25.0%)  valid 2.100 (20.0%)"
    )
