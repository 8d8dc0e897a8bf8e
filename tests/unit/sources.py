"""Data sets of the sources with what they are to say about a state."""

import numpy as np
from stages import build_fractions

from phasefront.comparison.side_by_side import compare_sources
from phasefront.core import netcdf
from phasefront.layouts.cycling import CYCLING
from phasefront.layouts.powder import POWDER

PHASES = ["Na3", "Na2", "Na1"]
CONTENTS = [3.0, 2.0, 1.0]
FIELDS = [{"Na3": 3, "Na2": 2}, {"Na2": 2, "Na1": 1}]
HALF = 1.959964


def make_fractions(content=2.5, error=0.1, *, molar=(0.5, 0.5, 0.0), scan="s1"):
    value = np.array([molar, molar, molar])
    return build_fractions(
        PHASES, scan=scan, value=value, low=value - 0.05, high=value + 0.05, ion_content=content,
        ion_content_low=content - HALF * error, ion_content_high=content + HALF * error,
        patterns=100, decided=65, mixed=5, undecided=16, unindexed=4, vacuum=10,
    )  # fmt: skip


def make_cycling(contents, error=0.02, *, log="charge", start=3.0, start_error=0.0, inactive=0.0):
    """A log whose states have the given ion contents and standard errors."""
    x, count = np.array(list(contents.values())), len(contents)
    sizes = {"time": 5, "half": 1, "grid": 3, "plateau": 0, "state": count}
    blank = {
        name: np.zeros([sizes[dim] for dim in variable.dims])
        for name, variable in CYCLING.variables.items()
    }
    curve = np.linspace(start, min(x), 5)
    active = start - (start - x) / (1 - inactive)
    return netcdf.build(
        CYCLING,
        blank
        | {
            "time": np.arange(5.0),
            "voltage": 3.6 + 0.2 * np.arange(5),
            "ion_content": curve,
            "ion_content_low": curve - HALF * start_error,
            "ion_content_high": curve + HALF * start_error,
            "state": list(contents),
            "state_voltage": np.interp(-x, -curve, 3.6 + 0.2 * np.arange(5)),
            "state_ion_content": x,
            "state_ion_content_low": x - HALF * error,
            "state_ion_content_high": x + HALF * error,
            "state_active_ion_content": active,
            "state_active_ion_content_low": active - HALF * error / (1 - inactive),
            "state_active_ion_content_high": active + HALF * error / (1 - inactive),
        },
        dict.fromkeys(CYCLING.attributes, 0.0)
        | {"log": log, "file": f"{log}.mpt"}
        | {"initial_ion_content": start, "inactive_share": inactive},
    )


def make_powder(molar, esd=0.01, *, content=None, content_esd=0.02):
    molar = np.asarray(molar, dtype=float)
    content = molar @ CONTENTS if content is None else content
    return netcdf.build(
        POWDER,
        {
            "phase": PHASES,
            **dict.fromkeys(("two_theta", "observed", "sigma"), np.ones(3)),
            **dict.fromkeys(("calculated", "background"), np.ones(3)),
            "contribution": np.ones((3, 3)),
            "weight_fraction": molar,
            "weight_fraction_esd": np.full(3, esd),
            "molar_fraction": molar,
            "molar_fraction_esd": np.full(3, esd),
            "cell": np.ones((3, 6)),
            "cell_esd": np.ones((3, 6)),
            **dict.fromkeys(("lorentz_size", "lorentz_strain"), np.zeros(3)),
            **dict.fromkeys(("gauss_size", "gauss_strain", "weight_fraction_shift"), np.zeros(3)),
            **dict.fromkeys(("gauss_variance", "zero_error"), 0.0),
            "reflection": [],
            "reflection_phase": [],
            "ion_content": content,
            "ion_content_esd": content_esd,
            "rwp": 0.1,
            "goodness_of_fit": 1.2,
            **dict.fromkeys(("unexplained_two_theta", "unexplained_d", "unexplained_height"), ()),
        },
        {"pattern": "p", "file": "p.xye", "wavelength": 0.4, "refined_with": "nothing"}
        | {"refused": ""},
    )


def compare(
    *, stem=None, cycling=None, powder=None, more=None, states=("half",), margin=0.1,
    fields=FIELDS, **options,
):  # fmt: skip
    """The comparison of what each source has by state; `more` holds that of further sources."""
    given = {
        "stem": {state: [found] for state, found in (stem or {}).items()},
        "cycling": {state: [log] for state, log in (cycling or {}).items()},
        "powder": powder or {},
    }
    return compare_sources(
        states=states, given=given | (more or {}), phases=PHASES, lever_fields=fields,
        margin=margin, **{"fraction_margin": 0.1} | options,
    )  # fmt: skip
