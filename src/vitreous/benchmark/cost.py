"""What a measurement costs: wall time and peak memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@contextmanager
def measured_cost() -> Iterator[dict[str, float]]:
    """Fill a dictionary with `seconds`, and on Linux `peak_gb`, when the block is left.

    The peak is what the whole process held resident at the most meanwhile, libraries and cases included.

    Examples
    --------
    >>> with measured_cost() as cost:
    ...     _ = sum(range(1000))
    >>> cost["seconds"] < 1
    True
    """
    cost: dict[str, float] = {}
    with suppress(OSError):
        RESET.write_text("5", encoding="ascii")  # the high-water mark falls to what is held now
    begun = time.monotonic()
    yield cost
    cost["seconds"] = time.monotonic() - begun
    with suppress(OSError):
        lines = dict(line.split(":", 1) for line in STATUS.read_text(encoding="ascii").splitlines())
        cost["peak_gb"] = int(lines["VmHWM"].split()[0]) * 1024 / 1e9
