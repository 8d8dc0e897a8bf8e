"""Unit cells from electron diffraction tomography."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.core.tables import Column, Table
from phasefront.layouts.dimensions import with_ends

_CELL = ("cell_parameter",)
_MIXED = "angstrom, degree"

CELL = Layout(
    "Unit cell of one particle from electron diffraction tomography",
    {
        "stated_cell": Variable(_CELL, "f8", _MIXED, "a b c alpha beta gamma as the files have it"),
        "stated_cell_esd": Variable(
            _CELL, "f8", _MIXED, "its e.s.d. as the files have them, NaN where they have none"
        ),
        "free_cell": Variable(
            _CELL, "f8", _MIXED, "the cell free of symmetry, in the phase's setting"
        ),
        "free_cell_error": Variable(
            _CELL, "f8", _MIXED, "its s.e. by the spots, or by the program where that is larger"
        ),
        "cell": Variable(_CELL, "f8", _MIXED, "the cell with the phase's symmetry"),
        "cell_error": Variable(
            _CELL, "f8", _MIXED,
            "its s.e., breaking of symmetry and systematic errors included; NaN of lengths where"
            " the camera length's error is not stated",
        ),
        "strain": Variable(
            ("component",), "f8", "1",
            "reciprocal strain from the phase's own cell, as coefficients of the symmetric strains"
            " that symmetry allows",
        ),
        "strain_covariance": Variable(
            ("component", "other_component"), "f8", "1",
            "its covariance, in which the common scale of lengths is unknown",
        ),
        "forbidden_strain": Variable(
            ("forbidden",), "f8", "1", "the strain that symmetry forbids, which is error"
        ),
        "breaking": Variable(
            (), "f8", "1",
            "its chi squared by the errors expected; by likely ones where no stretch is stated",
        ),
        "breaking_freedom": Variable(
            (), "i4", "1", "its degrees of freedom; 0 where a program imposed the symmetry"
        ),
        **with_ends("ratio", (), "c over the mean of a and b of the lattice that phases share"),
        "transformation": Variable(
            ("setting", "phase_axis", "stated_axis"), "f8", "1",
            "rows: axes in the phase's setting in those of the stated cell, of each way to choose"
            " them that fits, best first",
        ),
        "setting_ion_content": Variable(
            ("setting",), "f8", "1", "ions per formula unit by each way"
        ),
        "setting_misfit": Variable(
            ("setting",), "f8", "1",
            "-2 log of how likely each way is, over the best: by the breaking of symmetry and the"
            " distance from the phases' cells",
        ),
        **with_ends("ion_content", (), "ions per formula unit by ratios; NaN where refused"),
    },
    # `files` in the order read; wavelength in angstrom; spots are those refined on, 0 without any,
    # and spot_residual their r.m.s. distance, 1/angstrom, NaN without any.
    ("cell_name", "particle", "state", "phase", "files", "program", "space_group", "wavelength",
     "reflections", "spots", "spot_residual", "refined_free", "distortion_error",
     "refused", "notes"),
)  # fmt: skip

CANDIDATE_CELL = Layout(
    "A candidate's cell by its CIF and by particles of it from electron diffraction tomography",
    {
        "cell": Variable(_CELL, "f8", _MIXED, "a b c alpha beta gamma; the volume is the CIF's"),
        "strain": Variable(
            ("component",), "f8", "1",
            "reciprocal strain from the CIF's cell, as coefficients of the symmetric strains that"
            " symmetry allows",
        ),
        "strain_covariance": Variable(
            ("component", "other_component"), "f8", "1", "its covariance"
        ),
        "particle_strain": Variable(
            ("particle", "component"), "f8", "1", "strain of each tilt series, likewise"
        ),
        "between": Variable(
            (), "f8", "1", "chi squared per degree of freedom between particles; NaN of one"
        ),
        "off": Variable(
            (), "f8", "1", "standard errors that particles and CIF are apart, in ratios"
        ),
    },
    ("phase", "cells", "tolerance"),
)  # fmt: skip

CELL_TABLE = Table(
    "cells.csv",
    "Unit cells of single particles from electron diffraction tomography, and ion contents by their"
    " ratios.",
    {
        "cell": Column("str", "", "name in the table of cells"),
        "particle": Column("str", "", "particle"),
        "state": Column("str", "", "state of charge"),
        "phase": Column("str", "", "phase in whose setting it stands"),
        "program": Column("str", "", "what refined the stated cell"),
        **{
            f"{name}{end}": Column("f8", unit, meaning + said)
            for name, unit, meaning in (
                ("a", "angstrom", "length a"), ("b", "angstrom", "length b"),
                ("c", "angstrom", "length c"), ("alpha", "degree", "angle alpha"),
                ("beta", "degree", "angle beta"), ("gamma", "degree", "angle gamma"),
            )
            for end, said in (("", ""), ("_error", ": standard error"))
        },
        "ratio": Column("f8", "1", "c over the mean of a and b of the lattice that phases share"),
        "ratio_low": Column("f8", "1", "lower end of its 95 % interval"),
        "ratio_high": Column("f8", "1", "upper end of its 95 % interval"),
        "ion_content": Column("f8", "1", "ions per formula unit by ratios"),
        "ion_content_low": Column("f8", "1", "lower end of its 95 % interval"),
        "ion_content_high": Column("f8", "1", "upper end of its 95 % interval"),
        "breaking": Column("f8", "1", "chi squared of the strain that symmetry forbids"),
        "breaking_freedom": Column("i8", "1", "its degrees of freedom; 0 where it was imposed"),
        "settings": Column("i8", "1", "ways to choose the phase's axes that fit"),
        "refused": Column("str", "", "why there is no ion content; empty where there is"),
        "notes": Column("str", "", "what was assumed, or is worth knowing"),
    },
)  # fmt: skip
