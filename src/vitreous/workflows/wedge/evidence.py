"""From a filled volume to what its report shows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vitreous.report import DenoiseEvidence, LossCurve, slices_for_display, xz_power_spectrum
from vitreous.workflows.denoise import Denoised, Source
from vitreous.workflows.denoise_files.evidence import HALVES, noise_image, reference_evidence, summary_of
from vitreous.workflows.wedge.values import Filled

if TYPE_CHECKING:
    from vitreous.workflows.wedge.files import WedgeRequest

CITATIONS = {
    "noise-model": (
        "Wiedemann & Heckel (2024), A deep learning method for simultaneous denoising and missing wedge "
        "reconstruction in cryogenic electron tomography (DeepDeWedge).",
        "Pang et al. (2021), Recorrupted-to-Recorrupted: unsupervised denoising.",
    ),
    "dual": (
        "Zeng et al. (2024), DUAL: deep unsupervised simultaneous simulation and denoising for cryo-electron "
        "tomography.",
        "Pang et al. (2021), Recorrupted-to-Recorrupted: unsupervised denoising.",
    ),
    "isonet": ("Liu et al. (2022), Isotropic reconstruction for electron tomography with deep learning.",),
}
MEASURED = {
    True: "the input's own values",
    False: "denoised",
}
UNCERTAIN = {True: "of the missing region alone", False: "in either region those that are the result there"}


def wedge_evidence(
    source: Source, result: Filled, request: WedgeRequest, warnings: tuple[str, ...]
) -> DenoiseEvidence:
    """Everything the report of a filled volume shows: slices, x–z spectra, uncertainty.

    With the truth of a simulated volume, `source.reference`, come scores and FSC.
    """
    volume, method = source.volume, result.model.method.name
    reference = None if source.reference is None else source.reference.data
    after = -result.data if request.settings.invert else result.data
    alike = Denoised(after, method, "as asked for", result.prepared, result.model, seconds=result.seconds)
    summary = summary_of(source, alike, request)
    summary["training"] = f"{len(result.losses)} steps, seed {request.settings.seed}"
    if source.even is not None and source.odd is not None:
        summary["halves"] = f"{source.even.path} and {source.odd.path}; {HALVES[source.split]}"
    summary["measured region"] = MEASURED[request.settings.keep_measured]
    summary["uncertainty"] = (
        f"{request.uncertainty}: deviation between the averaged predictions (noise drawn, mirror images, "
        f"halves), {UNCERTAIN[request.settings.keep_measured]}; neither mistakes that all of them share nor "
        "other trainings are in it"
    )
    scores, fsc = reference_evidence(volume, after, reference)
    slices = slices_for_display(volume.data, after, reference, with_removed=False)
    losses = LossCurve(np.arange(1, len(result.losses) + 1), np.array(result.losses))
    spectrum = None if source.split == "tilts" else result.prepared.noise_spectrum
    evidence = DenoiseEvidence(
        title=f"Missing wedge filled: {request.input.name}",
        summary=summary,
        warnings=warnings,
        voxel_spacing_angstrom=volume.voxel_spacing_angstrom,
        spectrum_before=xz_power_spectrum(volume.data),
        spectrum_after=xz_power_spectrum(after),
        noise_spectrum_image=None if spectrum is None else noise_image(spectrum, alike),
        loss=losses if result.losses else None,
        scores=scores,
        fsc=fsc,
        replay_command=request.command(),
        citations=CITATIONS[method],
        **slices,
    )
    shown = slices_for_display(result.uncertainty, result.uncertainty, with_removed=False)
    return replace(evidence, uncertainty=shown["after"])
