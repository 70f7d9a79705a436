"""From a result to what its report shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from vitreous.core import Volume
from vitreous.methods.noise_model import check_residual
from vitreous.metrics import correlation, fourier_shell_correlation, psnr, ssim
from vitreous.report import DenoiseEvidence, LossCurve, NoiseCurve, slices_for_display, xz_power_spectrum
from vitreous.workflows.denoise import Denoised

if TYPE_CHECKING:
    from vitreous.workflows.denoise_files import DenoiseRequest

CITATIONS = {
    "noise-model": "Pang et al. (2021), Recorrupted-to-Recorrupted: unsupervised denoising.",
    "blindspot": "Liu et al., J-invariant volume shuffle for self-supervised tomogram denoising.",
    "n2n": "Buchholz et al. (2019), Content-aware image restoration for electron microscopy (cryoCARE).",
}


def denoise_evidence(
    volume: Volume,
    result: Denoised,
    request: DenoiseRequest,
    warnings: tuple[str, ...],
    reference: NDArray[np.float32] | None = None,
) -> DenoiseEvidence:
    """Everything the report of one denoised file shows, residual check included.

    `reference` is the ground truth of a simulated volume; with it come scores and FSC.
    """
    after = -result.data if request.settings.invert else result.data
    curve, check, check_warning = residual_evidence(volume, result, after)
    scores, fsc = reference_evidence(volume, after, reference)
    losses = result.model.record.losses if result.model and result.model.record else ()
    spectrum = result.prepared.noise_spectrum if result.prepared else None
    return DenoiseEvidence(
        title=f"Denoised: {request.input.name}",
        summary=summary_of(volume, result, request),
        warnings=(*warnings, *check_warning),
        voxel_spacing_angstrom=volume.voxel_spacing_angstrom,
        spectrum_before=xz_power_spectrum(volume.data),
        spectrum_after=xz_power_spectrum(after),
        noise_spectrum_image=None if spectrum is None else noise_image(spectrum, result),
        noise_curve=curve,
        residual_check=check,
        loss=LossCurve(np.arange(1, len(losses) + 1), np.array(losses)) if losses else None,
        scores=scores,
        fsc=fsc,
        replay_command=request.command(),
        citations=(CITATIONS[result.method],) if result.method in CITATIONS else (),
        **slices_for_display(volume.data, after, reference),
    )


def summary_of(volume: Volume, result: Denoised, request: DenoiseRequest) -> dict[str, str]:
    """What was run on what, in the order shown."""
    spacing = volume.voxel_spacing_angstrom
    facts = {
        "input": str(request.input),
        "output": str(request.output),
        "size (z, y, x)": " × ".join(map(str, volume.shape)),
        "voxel spacing": "unknown" if spacing is None else " × ".join(f"{s:.4g}" for s in spacing) + " Å",
        "method": f"{result.method} ({result.reason})",
    }
    if request.settings.invert:
        facts["contrast"] = "inverted in the output, not in the pictures"
    if result.prepared:
        facts |= result.prepared.summary
    if result.model and result.model.record:
        facts["training"] = f"{len(result.model.record.losses)} steps, seed {request.settings.seed}"
        facts["computed on"] = result.model.compute.description
    facts["time"] = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in result.seconds.items())
    return facts


def residual_evidence(
    volume: Volume, result: Denoised, after: NDArray[np.float32]
) -> tuple[NoiseCurve | None, dict[str, float | str | bool] | None, tuple[str, ...]]:
    """Noise curve, verdict and warnings of a method that has a noise spectrum."""
    if result.prepared is None or result.prepared.noise_spectrum is None:
        return None, None, ()
    check = check_residual(
        volume.data, after, result.prepared.volume.normalization, result.prepared.noise_spectrum
    )
    curve = NoiseCurve(check.frequency, check.estimate, check.total, check.residual, check.expected)
    verdict: dict[str, float | str | bool] = {
        "agrees": check.agrees,
        "removed power / expected power": check.ratio,
        "message": check.message,
    }
    return curve, verdict, () if check.agrees else (check.message,)


def noise_image(spectrum: torch.Tensor, result: Denoised) -> NDArray[np.float32]:
    """log10 of the estimated noise power in the (kz, kx) plane, in grey values squared, DC in the centre."""
    if result.prepared is None:
        raise ValueError("a method without preparation has no noise spectrum")
    variance = result.prepared.volume.normalization.deviation**2
    plane = torch.fft.fftshift(spectrum.mean(dim=1)) * variance
    return torch.log10(plane.clamp_min(1e-12 * variance)).numpy().astype(np.float32)


def reference_evidence(
    volume: Volume, after: NDArray[np.float32], reference: NDArray[np.float32] | None
) -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
    """Scores and FSC of the input and the result against the truth."""
    if reference is None:
        return {}, {}
    scores, fsc = {}, {}
    for label, data in (("noisy", volume.data), ("denoised", after)):
        scores[label] = scores_against(data, reference)
        fsc[label] = fourier_shell_correlation(data, reference)
    scores["denoised"]["delta_psnr"] = scores["denoised"]["psnr"] - scores["noisy"]["psnr"]
    return scores, fsc


def scores_against(data: NDArray[Any], reference: NDArray[Any]) -> dict[str, float]:
    """PSNR, SSIM and correlation, with the range of the reference as `data_range`."""
    span = float(np.ptp(reference))
    return {
        "psnr": psnr(data, reference, data_range=span),
        "ssim": ssim(data, reference, data_range=span),
        "cc": correlation(data, reference),
        "data_range": span,
    }
