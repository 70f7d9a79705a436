"""What can go wrong, said in the words a user can act on."""

from __future__ import annotations

from pathlib import Path


class VitreousError(Exception):
    """Base of every error raised on purpose. `exit_code` is what the command line returns."""

    exit_code = 1


class InputError(VitreousError):
    """The user gave something unusable: one line with the file, what is wrong and what to do.

    Examples
    --------
    >>> str(InputError("the file is empty", path="a.mrc", remedy="copy it again"))
    'a.mrc: the file is empty; copy it again'
    """

    exit_code = 2

    def __init__(self, problem: str, *, path: str | Path | None = None, remedy: str = "") -> None:
        self.problem, self.path, self.remedy = problem, path, remedy
        text = problem if path is None else f"{path}: {problem}"
        super().__init__(" ".join(f"{text}; {remedy}".split()) if remedy else " ".join(text.split()))


class Interrupted(VitreousError):
    """The user stopped a run; its checkpoint is kept and `run_dir` can be resumed."""

    exit_code = 130

    def __init__(self, run_dir: Path | None = None) -> None:
        self.run_dir = run_dir
        advice = "" if run_dir is None else f"; continue with: vitreous resume {run_dir}"
        super().__init__(f"interrupted{advice}")


class TrainingDiverged(VitreousError):
    """The loss was not finite twice: the message names the step and the patch."""
