"""Architectures: the domains of well-known complexes as ellipsoids about their main axis.

Drawn after the published structures: where the domains of one asymmetric unit lie, and how large they
are beside each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Lobe:
    """An ellipsoidal domain of the asymmetric unit, placed in cylindrical coordinates about z.

    Parameters
    ----------
    height, radius
        Of its centre, along the axis and away from it, in Å.
    azimuth_deg
        Of its centre, from x towards y.
    semi_axes
        Half its extent along the axis, radially and tangentially, in Å. All lobes of a complex grow or
        shrink together until they hold its mass, so that only their proportions matter.
    lean_deg
        Turn about the radial direction, which tips the tangential axis up: lobes become propeller blades.
    """

    height: float
    radius: float
    azimuth_deg: float
    semi_axes: tuple[float, float, float]
    lean_deg: float = 0.0


def _scaled(lobes: tuple[Lobe, ...], factor: float) -> tuple[Lobe, ...]:
    return tuple(
        replace(
            lobe,
            height=lobe.height * factor,
            radius=lobe.radius * factor,
            semi_axes=(lobe.semi_axes[0] * factor, lobe.semi_axes[1] * factor, lobe.semi_axes[2] * factor),
        )
        for lobe in lobes
    )


def _ring(count: int, height: float, radius: float, start_deg: float, size: float) -> tuple[Lobe, ...]:
    """A ring of equal globular subunits that is part of a larger assembly without its symmetry."""
    return tuple(Lobe(height, radius, start_deg + 360 * k / count, (size,) * 3) for k in range(count))


HSP70 = (  # actin fold: subdomains IA, IB, IIA, IIB about the nucleotide cleft, and the last helix
    Lobe(-15, 13, 0, (15, 13, 17), 15),
    Lobe(15, 18, 12, (14, 11, 13)),
    Lobe(-14, 13, 190, (15, 13, 15)),
    Lobe(14, 17, 160, (12, 10, 17), 25),
    Lobe(-27, 8, 80, (6, 6, 13), 20),
)

_SMALL_SUBUNIT = (  # body, head, beak, platform, shoulder, two feet
    Lobe(58, 25, 298, (34, 48, 40), 10),
    Lobe(62, 62, 113, (30, 34, 34)),
    Lobe(62, 96, 74, (11, 20, 10)),
    Lobe(42, 54, 186, (20, 26, 26)),
    Lobe(52, 44, 36, (22, 24, 22)),
    Lobe(62, 88, 314, (18, 24, 14)),
    Lobe(60, 84, 282, (13, 20, 12)),
)

_LARGE_SUBUNIT = (  # body of five, central protuberance, L1 stalk, P stalk
    Lobe(-30, 40, 205, (30, 40, 46), 15),
    Lobe(-46, 44, 82, (44, 38, 42)),
    Lobe(-58, 42, 322, (38, 42, 40), -10),
    Lobe(-22, 62, 12, (22, 26, 32)),
    Lobe(-88, 22, 240, (20, 36, 44)),
    Lobe(-32, 98, 92, (20, 22, 28)),
    Lobe(-20, 108, 155, (15, 20, 14)),
    Lobe(-8, 108, 18, (10, 24, 12)),
)

_EXPANSION = (  # of eukaryotic rRNA, on the solvent side of the large subunit
    Lobe(-96, 58, 250, (20, 26, 36)),
    Lobe(-72, 84, 312, (28, 22, 24)),
)

SSB1 = (
    Lobe(-16, 12, 350, (15, 13, 16), 20),
    Lobe(16, 21, 20, (14, 10, 13)),
    Lobe(-12, 14, 185, (15, 13, 16)),
    Lobe(17, 21, 150, (12, 10, 16), 30),
    Lobe(-28, 10, 100, (6, 6, 13), 30),
)

ESTERASE = (Lobe(-4, 20, 0, (17, 18, 19), 20), Lobe(15, 17, 65, (9, 9, 13), 30))

GET3 = (Lobe(52, 19, 15, (20, 16, 19), 25), Lobe(20, 21, 62, (18, 13, 15), 25))

HSP90 = (
    Lobe(42, 18, 0, (19, 16, 18), 20),
    Lobe(2, 22, 45, (22, 17, 19), 20),
    Lobe(-42, 15, 85, (16, 14, 18), 20),
    Lobe(34, 42, 70, (15, 13, 16)),
)

HSP110 = (
    Lobe(-4, 22, 0, (24, 17, 22), 15),
    Lobe(-42, 16, 40, (16, 13, 17)),
    Lobe(20, 16, 105, (32, 8, 11), 15),
    Lobe(18, 27, 175, (17, 14, 19)),
    Lobe(-14, 26, 205, (15, 15, 17)),
    Lobe(40, 22, 340, (12, 11, 14)),
)

CAND1 = (
    *(Lobe(-56 + 14 * k, 34, 38 * k, (13, 13, 14), 20) for k in range(9)),
    Lobe(10, 6, 60, (54, 13, 15)),
    Lobe(-44, 20, 250, (20, 17, 21)),
    Lobe(-60, 36, 215, (10, 10, 12)),
)

P97 = (
    Lobe(-22, 33, 0, (20, 18, 17), 20),
    Lobe(16, 36, 16, (19, 18, 18), 20),
    Lobe(20, 66, 30, (14, 15, 17), 25),
)

RUBISCO = (
    Lobe(16, 40, 14, (22, 18, 18), 20),
    Lobe(14, 34, 42, (13, 13, 14)),
    Lobe(46, 25, 32, (12, 12, 14), 25),
)

CLPB = (
    Lobe(42, 40, 8, (13, 13, 14)),
    Lobe(14, 38, 20, (17, 18, 18), 20),
    Lobe(12, 70, 42, (8, 9, 25), 35),
    Lobe(-25, 35, 45, (18, 17, 17), 20),
)

PROTEASOME = (
    *_ring(7, -105, 36, 20, 19),
    *_ring(7, -66, 39, 0, 20),
    *_ring(6, -22, 34, 10, 23),
    Lobe(-14, 72, 200, (22, 20, 23)),
    Lobe(40, 40, 212, (26, 22, 26)),
    Lobe(-5, 66, 60, (32, 15, 18), 15),
    Lobe(20, 66, 96, (30, 14, 17), 15),
    Lobe(42, 62, 128, (26, 13, 17), 15),
    Lobe(34, 58, 28, (26, 14, 18), 15),
    Lobe(52, 44, 350, (27, 14, 18)),
    Lobe(76, 46, 318, (20, 14, 17)),
    Lobe(40, 20, 62, (18, 18, 24)),
    Lobe(14, 70, 150, (16, 15, 16)),
    Lobe(84, 34, 215, (14, 12, 13)),
)

MITORIBOSOME = (
    *_scaled(_LARGE_SUBUNIT, 1.02),
    *_scaled(_SMALL_SUBUNIT, 1.05),
    Lobe(-30, 118, 100, (26, 26, 30)),
    Lobe(-66, 88, 200, (26, 26, 30)),
    Lobe(64, 124, 296, (20, 30, 20)),
    Lobe(44, 112, 188, (18, 26, 18)),
)

TRIC = (
    Lobe(17, 54, 0, (16, 17, 16), 20),
    Lobe(42, 60, 14, (13, 12, 13)),
    Lobe(56, 40, 26, (12, 15, 14), 25),
    Lobe(70, 16, 40, (6, 12, 7)),
)

RIBOSOME = (*_LARGE_SUBUNIT, *_EXPANSION, *_SMALL_SUBUNIT)

RIBOSOME_70S = _scaled((*_LARGE_SUBUNIT, *_SMALL_SUBUNIT), 0.95)

CORE_PARTICLE = (Lobe(56, 37, 20, (18, 17, 17), 20), Lobe(19, 36, 0, (18, 16, 17), 20))

GROEL = (
    Lobe(19, 42, 0, (17, 18, 17), 20),
    Lobe(42, 55, 18, (12, 11, 12)),
    Lobe(57, 45, 36, (14, 16, 17), 25),
)

APOFERRITIN = (
    Lobe(45, 23, 328, (11, 11, 11)),
    Lobe(37, 34, 8, (11, 11, 11)),
    Lobe(29, 41, 26, (11, 11, 11)),
)

ATCASE = (Lobe(25, 30, 15, (19, 20, 21), 20), Lobe(12, 58, 50, (14, 16, 14), 25))

CLPP = (Lobe(26, 33, 10, (17, 12, 14), 25), Lobe(7, 36, 26, (9, 9, 10)))

HSP16 = (Lobe(38, 13, 25, (12, 13, 16), 25), Lobe(26, 26, 60, (9, 9, 10)))

CITRATE_SYNTHASE = (Lobe(21, 34, 15, (20, 22, 20), 20), Lobe(27, 54, 45, (13, 14, 14)))

LDH = (Lobe(20, 20, 30, (19, 16, 17), 20), Lobe(26, 25, 78, (11, 11, 13), 20))
