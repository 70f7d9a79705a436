"""What belongs to the images of a tilt series, written as other programs read it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vitreous.io.atomic import write_text_atomic


def write_tilt_angles(path: str | Path, tilt_angles_deg: Sequence[float], *, overwrite: bool = False) -> Path:
    """Write `.tlt` or `.rawtlt`: one signed angle in degrees a line, in the order of the images.

    Raises
    ------
    InputError
        If the file exists or cannot be written.
    """
    text = "".join(f"{angle:.2f}\n" for angle in tilt_angles_deg)
    return write_text_atomic(path, text, overwrite=overwrite)


def write_mdoc(
    path: str | Path,
    *,
    image_file: str,
    image_shape: tuple[int, int],
    pixel_spacing_angstrom: float,
    voltage_kv: float,
    tilt_angles_deg: Sequence[float],
    doses_before: Sequence[float],
    dose_e_per_angstrom2: float,
    defoci_um: Sequence[float | None],
    overwrite: bool = False,
) -> Path:
    """Write a SerialEM `.mdoc` of a tilt series.

    Parameters
    ----------
    path
        The output.
    image_file
        Name of the stack.
    image_shape
        (y, x) of an image.
    pixel_spacing_angstrom
        In Å.
    voltage_kv
        In kV.
    tilt_angles_deg, doses_before, defoci_um
        Of each image in the order of the stack: angle in degrees, dose before it in electrons/Å²,
        underfocus in µm, which SerialEM writes as a negative number, or None.
    dose_e_per_angstrom2
        Of each image.
    overwrite
        Replace an existing file.

    Raises
    ------
    InputError
        If the file exists or cannot be written.
    """
    height, width = image_shape
    lines = [
        f"PixelSpacing = {pixel_spacing_angstrom:g}",
        f"Voltage = {voltage_kv:g}",
        f"ImageFile = {image_file}",
        f"ImageSize = {width} {height}",
        "DataMode = 2",
    ]
    for number, (angle, before, defocus) in enumerate(
        zip(tilt_angles_deg, doses_before, defoci_um, strict=True)
    ):
        lines += [
            "",
            f"[ZValue = {number}]",
            f"TiltAngle = {angle:.2f}",
            f"ExposureDose = {dose_e_per_angstrom2:g}",
            f"PriorRecordDose = {before:g}",
            *([] if defocus is None else [f"Defocus = {-defocus:.4f}"]),
        ]
    return write_text_atomic(path, "\n".join(lines) + "\n", overwrite=overwrite)
