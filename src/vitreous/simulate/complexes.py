"""The well-known complexes of which there are bead models: mass, symmetry and dimensions."""

from __future__ import annotations

from dataclasses import dataclass

from vitreous.simulate import architectures as shapes
from vitreous.simulate.architectures import Lobe


@dataclass(frozen=True)
class Complex:
    """What is published of a complex, and how its mass is laid out.

    Parameters
    ----------
    name
        What follows "phantom:".
    aliases
        Other names, first of all PDB ids.
    title
        What it is.
    mass_kda
        Of the whole assembly.
    symmetry
        Point group: "C1", "C2" …, "D2" …, "T" or "O"; the main axis is z.
    dimensions_angstrom
        Extent along the main axis (the longest one for C1), and the largest diameter across it.
    lobes
        Domains of the asymmetric unit.
    chiral
        Whether its mirror image can be told apart at 10 Å: no correlation above 0.95 after alignment.
    """

    name: str
    aliases: tuple[str, ...]
    title: str
    mass_kda: float
    symmetry: str
    dimensions_angstrom: tuple[float, float]
    lobes: tuple[Lobe, ...]
    chiral: bool = False


# Masses and dimensions are rounded. 26S is what the entry 4cr2 holds: base, lid and the adjoining half of
# the core particle. The eight different subunits of TRiC count as one kind.
COMPLEXES = (
    Complex("hsp70", ("1s3x",), "ATPase domain of human Hsp70", 43, "C1", (70, 60), shapes.HSP70),
    Complex("ssb1", ("3gl1",), "ATPase domain of yeast Ssb1", 42, "C1", (70, 64), shapes.SSB1),
    Complex("esterase", ("3qm1",), "bacterial cinnamoyl esterase", 58, "C2", (52, 80), shapes.ESTERASE),
    Complex("get3", ("3h84",), "Get3 tetramer", 158, "D2", (150, 84), shapes.GET3, chiral=True),
    Complex("hsp90", ("2cg9",), "Hsp90 with Sba1", 188, "C2", (124, 110), shapes.HSP90, chiral=True),
    Complex("hsp110", ("3d2f",), "Hsp110 with Hsp70", 118, "C1", (108, 90), shapes.HSP110, chiral=True),
    Complex("cand1", ("1u6g",), "CAND1 on cullin 1", 239, "C1", (150, 105), shapes.CAND1, chiral=True),
    Complex("p97", ("3cf3", "vcp"), "ATPase p97 (VCP)", 541, "C6", (88, 164), shapes.P97),
    Complex("rubisco", ("1bxn",), "RuBisCO, L8S8", 544, "D4", (116, 130), shapes.RUBISCO),
    Complex("clpb", ("1qvr",), "disaggregase ClpB", 575, "C6", (104, 180), shapes.CLPB),
    Complex("26s", ("4cr2",), "half 26S proteasome", 1309, "C1", (240, 190), shapes.PROTEASOME, chiral=True),
    Complex("20s", ("1ryp",), "20S proteasome", 700, "D7", (150, 115), shapes.CORE_PARTICLE),
    Complex("tric", ("4v94", "cct"), "closed TRiC (CCT)", 960, "D8", (154, 156), shapes.TRIC),
    Complex("groel", ("1mnf",), "chaperonin GroEL", 800, "D7", (146, 140), shapes.GROEL),
    Complex("ribosome", ("80s",), "yeast 80S", 3300, "C1", (240, 270), shapes.RIBOSOME, chiral=True),
    Complex("ribosome-70s", ("70s", "4v4r"), "bacterial 70S", 2500, "C1", (220, 255), shapes.RIBOSOME_70S),
    Complex(
        "ribosome-mito",
        ("5mrc", "mitoribosome"),
        "mitochondrial ribosome of yeast",
        3300,
        "C1",
        (240, 310),
        shapes.MITORIBOSOME,
        chiral=True,
    ),
    Complex("apoferritin", ("ferritin",), "apoferritin, 24-mer", 480, "O", (122, 130), shapes.APOFERRITIN),
    Complex("atcase", ("1f1b",), "ATCase, c6r6", 310, "D3", (100, 145), shapes.ATCASE, chiral=True),
    Complex("clpp", ("1yg6",), "protease ClpP, 14-mer", 300, "D7", (93, 98), shapes.CLPP),
    Complex("hsp16", ("2byu", "acr1"), "Hsp16.3 (Acr1), 12-mer", 196, "T", (100, 120), shapes.HSP16),
    Complex(
        "citrate-synthase",
        ("2h12",),
        "citrate synthase, hexamer",
        290,
        "D3",
        (90, 136),
        shapes.CITRATE_SYNTHASE,
        chiral=True,
    ),
    Complex("ldh", ("2ldb",), "lactate dehydrogenase, tetramer", 138, "D2", (84, 80), shapes.LDH),
)

# The particles of SHREC 2021, in the order in which the benchmark's specimens draw them.
SHREC_STRUCTURES = (
    "hsp70",
    "ssb1",
    "esterase",
    "get3",
    "hsp90",
    "hsp110",
    "cand1",
    "p97",
    "rubisco",
    "clpb",
    "26s",
    "ribosome-mito",
    "tric",
)
