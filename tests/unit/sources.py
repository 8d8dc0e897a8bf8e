"""Data sets of the sources with what they are to say about a state."""

import numpy as np
from examples import example
from stages import build_fractions

from phasefront.comparison.side_by_side import compare_sources
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
    x = np.array(list(contents.values()))
    curve = np.linspace(start, min(x), 5)
    active = start - (start - x) / (1 - inactive)
    ends = HALF * np.array([-error, error])
    return example(
        CYCLING, log=log, file=f"{log}.mpt", initial_ion_content=start, inactive_share=inactive,
        time=np.arange(5.0), voltage=3.6 + 0.2 * np.arange(5), ion_content=curve,
        ion_content_low=curve - HALF * start_error, ion_content_high=curve + HALF * start_error,
        state=list(contents), state_voltage=np.interp(-x, -curve, 3.6 + 0.2 * np.arange(5)),
        state_ion_content=x, state_ion_content_low=x + ends[0],
        state_ion_content_high=x + ends[1], state_active_ion_content=active,
        state_active_ion_content_low=active + ends[0] / (1 - inactive),
        state_active_ion_content_high=active + ends[1] / (1 - inactive),
    )  # fmt: skip


def make_powder(molar, esd=0.01, *, content=None, content_esd=0.02):
    molar = np.asarray(molar, dtype=float)
    content = molar @ CONTENTS if content is None else content
    return example(
        POWDER, phase=PHASES, pattern="p", file="p.xye", wavelength=0.4, two_theta=[1, 2, 3],
        weight_fraction=molar, weight_fraction_esd=esd, weight_fraction_shift=0,
        molar_fraction=molar, molar_fraction_esd=esd, ion_content=content,
        ion_content_esd=content_esd, rwp=0.1, goodness_of_fit=1.2,
    )  # fmt: skip


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
