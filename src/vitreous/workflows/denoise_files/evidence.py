"""From a result to what its report shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import vitreous
from vitreous.core import Volume
from vitreous.methods.noise_model import check_residual
from vitreous.metrics import fourier_shell_correlation
from vitreous.report import DenoiseEvidence, LossCurve, NoiseCurve, slices_for_display, xz_power_spectrum
from vitreous.training import TrainingRecord
from vitreous.workflows.denoise import Denoised, Source
from vitreous.workflows.denoise_files.request import DenoiseRequest
from vitreous.workflows.evaluate import scores_against

HALVES = {
    "frames": "split by frames: their difference is noise alone",
    "tilts": "split by tilts: their difference holds signal too, so no noise estimate is made from it",
    "unknown": "taken to be split by frames, which their names do not say; split by tilts, their difference "
    "would hold signal too, and the noise estimate would be too high",
}
CITATIONS = {
    "noise-model": "Pang et al. (2021), Recorrupted-to-Recorrupted: unsupervised denoising.",
    "blindspot": "Liu et al., J-invariant volume shuffle for self-supervised tomogram denoising.",
    "n2n": "Buchholz et al. (2019), Content-aware image restoration for electron microscopy (cryoCARE).",
    "bilateral": "Tomasi & Manduchi (1998), Bilateral filtering for gray and color images.",
    "nad": "Frangakis & Hegerl (2001), Noise reduction in electron tomographic reconstructions using "
    "nonlinear anisotropic diffusion.",
    "nlm": "Buades, Coll & Morel (2005), A non-local algorithm for image denoising.",
    "bm4d": "Maggioni et al. (2013), Nonlocal transform-domain filter for volumetric data denoising and "
    "reconstruction; Mäkinen, Azzari & Foi (2020), Collaborative filtering of correlated noise.",
    "dual": "Zeng et al. (2024), DUAL: deep unsupervised simultaneous simulation and denoising for "
    "cryo-electron tomography.",
    "deconv": "Tegunov & Cramer (2019), Real-time cryo-electron microscopy data preprocessing with Warp.",
}


def denoise_evidence(
    source: Source, result: Denoised, request: DenoiseRequest, warnings: tuple[str, ...]
) -> DenoiseEvidence:
    """Everything the report of one denoised file shows, residual check included.

    With the truth of a simulated volume, `source.reference`, come scores and FSC.
    """
    volume = source.volume
    reference = None if source.reference is None else source.reference.data
    after = -result.data if request.settings.invert else result.data
    spectrum = noise_spectrum(source, result)
    curve, check, check_warning = residual_evidence(source, result, after, spectrum)
    scores, fsc = reference_evidence(volume, after, reference)
    return DenoiseEvidence(
        title=f"Denoised: {request.input.name}",
        summary=summary_of(source, result, request),
        warnings=(*warnings, *check_warning),
        voxel_spacing_angstrom=volume.voxel_spacing_angstrom,
        spectrum_before=xz_power_spectrum(volume.data),
        spectrum_after=xz_power_spectrum(after),
        noise_spectrum_image=None if spectrum is None else noise_image(spectrum, result),
        noise_curve=curve,
        residual_check=check,
        loss=loss_curve(result.model.record) if result.model and result.model.record else None,
        scores=scores,
        fsc=fsc,
        replay_command=request.command(),
        citations=(CITATIONS[result.method],) if result.method in CITATIONS else (),
        **slices_for_display(volume.data, after, reference),
    )


def loss_curve(record: TrainingRecord) -> LossCurve | None:
    """Training and, if something was held out, validation loss; None for a model trained elsewhere."""
    if not record.losses:
        return None
    curve = LossCurve(np.arange(1, len(record.losses) + 1), np.array(record.losses))
    if not record.validation:
        return curve
    steps, values = (np.array(column) for column in zip(*record.validation, strict=True))
    return replace(curve, validation_steps=steps, validation_values=values)


def summary_of(source: Source, result: Denoised, request: DenoiseRequest) -> dict[str, str]:
    """What was run on what, in the order shown."""
    volume = source.volume
    spacing = volume.voxel_spacing_angstrom
    facts = {
        "input": str(request.input),
        "output": str(request.output),
        "size (z, y, x)": " × ".join(map(str, volume.shape)),
        "voxel spacing": "unknown" if spacing is None else " × ".join(f"{s:.4g}" for s in spacing) + " Å",
        "method": f"{result.method} ({result.reason})",
    }
    if result.method == "n2n" and source.even is not None:
        facts["halves"] = (
            f"{source.even.path} and {source.odd.path if source.odd else None}; {HALVES[source.split]}"
        )
    if request.settings.invert:
        facts["contrast"] = "inverted in the output, not in the pictures"
    if result.prepared:
        facts |= result.prepared.summary
    if result.model and result.model.record:
        facts["training"] = f"{len(result.model.record.losses)} steps, seed {request.settings.seed}"
        facts["computed on"] = result.model.compute.description
    facts["version"] = f"vitreous {vitreous.__version__}"
    facts["time"] = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in result.seconds.items())
    return facts


def noise_spectrum(source: Source, result: Denoised) -> torch.Tensor | None:
    """The noise spectrum of a result, unless it was read off halves whose difference holds signal."""
    if result.prepared is None or (result.prepared.volume.target is not None and source.split == "tilts"):
        return None
    return result.prepared.noise_spectrum


def residual_evidence(
    source: Source, result: Denoised, after: NDArray[np.float32], spectrum: torch.Tensor | None
) -> tuple[NoiseCurve | None, dict[str, float | str | bool] | None, tuple[str, ...]]:
    """Noise curve, verdict and warnings of a method that has a noise spectrum."""
    if result.prepared is None or spectrum is None:
        return None, None, ()
    volume = result.prepared.volume
    before: Any = volume.data if volume.target is None else MeanOfHalves(volume.data, volume.target)
    check = check_residual(before, after, volume.normalization, spectrum, volume.mask)
    curve = NoiseCurve(check.frequency, check.estimate, check.total, check.residual, check.expected)
    message = check.message
    if volume.target is not None:
        message += f" The estimate is the power of half the difference of the halves, {HALVES[source.split]}."
    verdict: dict[str, float | str | bool] = {
        "agrees": check.agrees,
        "removed power / expected power": check.ratio,
        "message": message,
    }
    return curve, verdict, () if check.agrees else (message,)


class MeanOfHalves:
    """The mean of two volumes, of which only what is asked for is computed."""

    def __init__(self, even: NDArray[Any], odd: NDArray[Any]) -> None:
        self.even, self.odd, self.shape = even, odd, even.shape

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        first, second = (np.asarray(half[index], np.float32) for half in (self.even, self.odd))
        return (first + second) / np.float32(2)


def noise_image(spectrum: torch.Tensor, result: Denoised) -> NDArray[np.float32]:
    """log10 of the estimated noise power in the (kz, kx) plane, in grey values squared, DC in the centre."""
    if result.prepared is None:
        raise ValueError("a method without preparation has no noise spectrum")
    variance = result.prepared.volume.normalization.deviation**2
    plane = torch.fft.fftshift(spectrum.mean(dim=1)) * variance
    return torch.log10(plane.clamp_min(1e-12 * variance)).numpy().astype(np.float32)


def reference_evidence(
    volume: Volume, after: NDArray[np.float32], reference: NDArray[Any] | None
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
