"""`vitreous`: one application, one module for each group of commands."""

from __future__ import annotations

import errno
import os
import shlex
import sys
import traceback
from typing import Annotated, Any, NoReturn

import typer

import vitreous
from vitreous.cli import (
    adapt,
    annotate,
    average,
    denoise,
    dual,
    judge,
    look,
    pick,
    reconstruct,
    runs,
    segment,
    simulate,
    wedge,
)
from vitreous.core.errors import InputError, Interrupted, VitreousError

# Writing that fails late: the outputs are checked before, but a disk can fill up while a run is on.
OUTPUT_FAULTS = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EFBIG: "free some space",
    errno.EROFS: "choose another place",
    errno.EACCES: "choose another place",
    errno.EPERM: "choose another place",
    errno.ENOTDIR: "choose another place",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "choose another place",
}

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # of the click that typer has inside

app = typer.Typer(
    name="vitreous",
    help="From unlabelled cryo-electron tomograms to denoised volumes, labels, picks, averages and evidence.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
denoise.register(app)
wedge.register(app)
dual.register(app)
look.register(app)
reconstruct.register(app)
simulate.register(app)
pick.register(app)
average.register(app)
judge.register(app)
segment.register(app)
annotate.register(app)
adapt.register(app)
runs.register(app)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Denoise and simulate cryo-electron tomograms: no labels, no clean data needed."""
    if version:
        sys.stdout.write(f"vitreous {vitreous.__version__}\n")
        raise typer.Exit


def main() -> None:
    """Run the command line; exits with 0 done, 2 unusable input, 1 a fault of ours, 130 stopped."""
    try:
        code = app(prog_name="vitreous", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except UsageError as error:
        explain_usage(error)
    except Interrupted as stopped:
        fail(farewell(stopped), stopped.exit_code)
    except VitreousError as error:
        fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        fail("stopped at once; a run directory's last checkpoint can be resumed", Interrupted.exit_code)
    except BrokenPipeError:
        sys.exit(1)
    except MemoryError:
        fail(
            "there is not enough memory; close other programs, or crop or bin the tomogram",
            InputError.exit_code,
        )
    except OSError as error:
        if error.errno not in OUTPUT_FAULTS:
            raise_fault()
        place = f"{error.filename}: " if error.filename else ""
        problem = os.strerror(error.errno or 0).lower()
        fail(f"{place}{problem}; {OUTPUT_FAULTS[error.errno or 0]}", InputError.exit_code)
    except Exception:  # the outermost frame: whatever reaches it is a fault of ours
        raise_fault()


def explain_usage(error: Any) -> NoReturn:
    """One line about options that make no sense; the help if there are none at all."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        sys.exit(InputError.exit_code)
    place = error.ctx.command_path if error.ctx else "vitreous"
    fail(f"{error.format_message().rstrip('.')}; see {place} --help", InputError.exit_code)


def raise_fault() -> NoReturn:
    """Say everything about an exception nobody foresaw."""
    traceback.print_exc()
    fail("this is a fault of vitreous; please report the lines above", 1)


def farewell(stopped: Interrupted) -> str:
    """The resume command of a stopped run, quoted for a shell."""
    if stopped.run_dir is None:
        return str(stopped)
    return f"interrupted; continue with: {shlex.join(['vitreous', 'resume', str(stopped.run_dir)])}"


def fail(text: str, code: int) -> NoReturn:
    """One line on stderr, then exit."""
    sys.stderr.write(f"vitreous: {' '.join(text.splitlines())}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
