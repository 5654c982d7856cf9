"""Going on with a run, whichever job it does."""

from __future__ import annotations

from pathlib import Path

from runtime import bilevel_search, rundir, training
from runtime.bilevel_search import SearchResult
from runtime.data import Images
from runtime.progress import Reporter
from runtime.text import Text
from runtime.training import TrainingResult
from runtime.training_request import JOB


def resume(
    folder: str | Path,
    *,
    data: str | Images | Text | None = None,
    device: str | None = None,
    progress: Reporter | None = None,
) -> SearchResult | TrainingResult:
    """Goes on with a search or a training from its last finished epoch, as if it had never stopped.

    On a CPU the result is that of a run without interruption, bit for bit.

    Args:
        folder: the run's folder; it holds the space and every setting.
        data: the same data set, where the run's own name for it no longer leads there.
        device: another device than the run began with; the numbers then differ in rounding.

    Raises:
        UserError: when the folder is no run's or is damaged, or the data set is another one; and
            as `search` and `train` do, like Interrupted.
    """
    record = rundir.open_folder(folder).read_settings()
    if record.get("job") == JOB:
        return training.resume_training(folder, data=data, device=device, progress=progress)
    return bilevel_search.resume(folder, data=data, device=device, progress=progress)
