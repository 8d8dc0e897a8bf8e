"""A powder pattern with its fit."""

from __future__ import annotations

from phasefront.core.netcdf import Layout, Variable
from phasefront.layouts.dimensions import PHASE_NAME

POWDER = Layout(
    "Powder pattern with its Rietveld fit",
    {
        "phase": PHASE_NAME,
        "two_theta": Variable(("two_theta",), "f8", "degree", "diffraction angle"),
        "observed": Variable(("two_theta",), "f8", "count", "measured intensity"),
        "sigma": Variable(("two_theta",), "f8", "count", "standard uncertainty of observed"),
        "calculated": Variable(("two_theta",), "f8", "count", "fit"),
        "background": Variable(("two_theta",), "f8", "count", "background of the fit"),
        "contribution": Variable(("phase", "two_theta"), "f8", "count", "share of each phase"),
        "weight_fraction": Variable(("phase",), "f8", "1", "weight fraction"),
        "weight_fraction_esd": Variable(("phase",), "f8", "1", "its e.s.d. times goodness of fit"),
        "weight_fraction_shift": Variable(
            ("phase",),
            "f8",
            "1",
            "its change between widths of lines and between backgrounds; in the e.s.d.",
        ),
        "molar_fraction": Variable(("phase",), "f8", "1", "fraction of formula units"),
        "molar_fraction_esd": Variable(("phase",), "f8", "1", "its e.s.d. times goodness of fit"),
        "cell": Variable(
            ("phase", "cell_parameter"), "f8", "angstrom, degree", "a b c alpha beta gamma"
        ),
        "cell_esd": Variable(
            ("phase", "cell_parameter"), "f8", "angstrom, degree", "e.s.d. of cell"
        ),
        "lorentz_size": Variable(("phase",), "f8", "degree", "Lorentzian width times cos(theta)"),
        "lorentz_strain": Variable(("phase",), "f8", "degree", "Lorentzian width over tan(theta)"),
        "gauss_size": Variable(
            ("phase",), "f8", "degree2", "squared Gaussian width times cos(theta)^2"
        ),
        "gauss_strain": Variable(
            ("phase",), "f8", "degree2", "squared Gaussian width over tan(theta)^2"
        ),
        "gauss_variance": Variable((), "f8", "degree2", "squared Gaussian width of all lines"),
        "zero_error": Variable((), "f8", "degree", "measured minus true angle"),
        "reflection": Variable(("reflection",), "f8", "degree", "angle of each reflection"),
        "reflection_phase": Variable(("reflection",), "i4", "1", "index of its phase"),
        "ion_content": Variable((), "f8", "1", "ions per formula unit, mean over molar fractions"),
        "ion_content_esd": Variable((), "f8", "1", "its e.s.d. times goodness of fit"),
        "rwp": Variable((), "f8", "1", "weighted profile R factor"),
        "goodness_of_fit": Variable((), "f8", "1", "square root of reduced chi squared"),
        "unexplained_two_theta": Variable(
            ("line",), "f8", "degree", "angle of lines that no phase explains, strongest first"
        ),
        "unexplained_d": Variable(("line",), "f8", "angstrom", "their spacing"),
        "unexplained_height": Variable(
            ("line",), "f8", "1", "their height, as a share of the strongest line's"
        ),
    },
    ("pattern", "file", "wavelength", "refined_with", "refused"),
    optional=("iterations", "notes", "serial_correlation_factor", "started_from"),
)
