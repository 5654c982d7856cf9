"""What a person sees: plain lines without a terminal, and a bar that reads losses now and then."""

import io

from rich.console import Console

from runtime.progress import Terminal

METRICS = {
    "epoch": 1, "epochs": 2, "lr": 0.1, "train_loss": 2.0, "train_accuracy": 0.25,
    "valid_loss": 2.1, "valid_accuracy": 0.2, "test_loss": 2.2, "test_accuracy": 0.1,
    "seconds": 1.25, "skips": 3, "genotype": "normal:\n  n0: [a]",
}  # fmt: skip
MEANS = {k: v for k, v in METRICS.items() if k.startswith(("train", "valid"))}


def run(**options):
    out = io.StringIO()
    terminal = Terminal(Console(file=out, width=100, **options))
    terminal.started("runs/[cell]-1", epochs=2, first=1, steps=2)
    due = terminal.due()
    terminal.step(MEANS if due else None)
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
    terminal.step(MEANS)
    assert out.getvalue().splitlines()[1] == (
        "epoch 1/3  step 1/2  40 s/step, 0:03:20 left  train 2.000 (25.0%)  valid 2.100 (20.0%)"
    )


def test_a_language_model_shows_perplexities():
    """Where no accuracy is among the metrics; what a run does not have is left out."""
    out = io.StringIO()
    terminal = Terminal(Console(file=out, width=100))
    terminal.started("runs/1", epochs=1, first=1, steps=1)
    terminal.epoch(
        {
            "epoch": 1, "epochs": 1, "lr": 20.0, "train_loss": 5.0, "train_perplexity": 148.413,
            "evaluation_loss": 5.5, "evaluation_perplexity": 244.692, "seconds": 2.0,
        }
    )  # fmt: skip
    assert out.getvalue().splitlines()[1:] == [
        "epoch 1/1  train 5.000 (perplexity 148.41)  evaluation 5.500 (perplexity 244.69)",
        "  (2.0 s)",
    ]


def test_epochs_of_uneven_lengths(monkeypatch):
    """Time left and step numbers hold when an epoch has more or fewer steps than was said."""
    clock = iter([0.0, *(float(second) for second in range(60, 600, 60))])
    monkeypatch.setattr("runtime.progress.time.monotonic", lambda: next(clock))
    out = io.StringIO()
    terminal = Terminal(Console(file=out, width=200))
    terminal.started("runs/1", epochs=2, first=1, steps=2)
    for _ in range(3):
        terminal.step(MEANS)
    terminal.epoch(METRICS)
    terminal.step(MEANS)
    lines = [line for line in out.getvalue().splitlines() if "step " in line]
    assert ["step 1/2" in lines[0], "step 2/2" in lines[1], "step 3/3" in lines[2]] == [True] * 3
    assert "0:03:00 left" in lines[0] and "0:02:00 left" in lines[2]
    assert "epoch 2/2  step 1/2" in lines[3] and "0:01:00 left" in lines[3]
