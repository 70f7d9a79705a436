"""A simulation of a second: a few small complexes and a gold bead in a small box."""

SMALL_BOX = (24, 40, 48)
SPACING = 15.0
SMALL_SPEC = f"""\
seed = 3
[box]
shape = {list(SMALL_BOX)}
voxel_spacing_angstrom = {SPACING}
slab = [2, 22]
[[particles]]
structure = "phantom:apoferritin"
count = 6
[[particles]]
structure = "phantom:ldh"
count = 8
[gold]
count = 1
diameter_angstrom = 60.0
[tilts]
lowest_deg = -50
highest_deg = 60
step_deg = 10
[imaging]
defocus_um = [2.0, 4.0]
shift_jitter_angstrom = 3.0
rotation_jitter_deg = 0.2
"""
