"""The whole chain on tomograms that tempt it: minutes each."""

import numpy as np
import pytest

from vitreous.core import SilentProgress
from vitreous.evidence import FOUND
from vitreous.io import write_volume
from vitreous.workflows.annotate import AnnotateRequest, AnnotateSettings, annotate_file
from vitreous.workflows.simulate import SimulationSpec, simulate_tomogram

STEPS = 150
CONTENTS = {
    "membranes only": {"vesicles": {"count": 3, "radius_angstrom": (150.0, 220.0)}, "sheets": {"count": 1}},
    "gold everywhere": {"gold": {"count": 14}},
    "another ring": {"particles": [{"structure": "phantom:apoferritin", "count": 25}]},
    "another chaperonin": {"particles": [{"structure": "phantom:groel", "count": 20}]},
    "turned contrast": {"particles": [{"structure": "phantom:tric", "count": 20}]},
}


def tomogram(contents, seed=3):
    spec = {
        "seed": seed,
        "box": {"shape": (56, 112, 112), "voxel_spacing_angstrom": 10.0},
        "imaging": {"snr": 0.15, "defocus_um": 3.5},
        **contents,
    }
    return simulate_tomogram(SimulationSpec.model_validate(spec)).tomogram


@pytest.mark.slow
def test_where_no_wedge_is_seen_that_is_said_and_tric_is_found_all_the_same(tmp_path):
    """White noise on top of the tomogram's own: nothing of the missing wedge is left to see."""
    made = tomogram({**CONTENTS["turned contrast"], "imaging": {"snr": 0.4, "defocus_um": 3.5}})
    data = np.asarray(made.data)
    covered = data + 1.5 * data.std() * np.random.default_rng(0).standard_normal(data.shape)
    path = write_volume(tmp_path / "tomogram.mrc", made.with_data(covered.astype(np.float32)))
    request = AnnotateRequest(path, ("phantom:tric",), tmp_path / "out", AnnotateSettings(steps=STEPS))
    facts = annotate_file(request, SilentProgress())
    assert any("tilts of -60° to 60° are assumed" in text for text in facts["warnings"])
    assert facts["structures"]["phantom:tric"]["outcome"] == FOUND


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTENTS)
def test_tric_is_found_where_it_is_and_not_elsewhere(name, tmp_path):
    made = tomogram(CONTENTS[name])
    turned = name == "turned contrast"
    if turned:
        made = made.with_data(-np.asarray(made.data))
    path = write_volume(tmp_path / "tomogram.mrc", made)
    request = AnnotateRequest(path, ("phantom:tric",), tmp_path / "out", AnnotateSettings(steps=STEPS))
    facts = annotate_file(request, SilentProgress())
    found = facts["structures"]["phantom:tric"]
    assert (found["outcome"] == FOUND) == turned, found["reasons"]
    assert any("looks bright" in text for text in facts["warnings"]) == turned
    if turned:
        assert 18 <= found["all_picks"] <= 22
