"""Grains and how they convert, as a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from phasefront.layouts.mechanisms import Counted
from phasefront.mechanisms.wording import field_name


def grain_rows(found: xr.Dataset) -> pd.DataFrame:
    """MECHANISMS as MECHANISM_TABLE has it, a row a grain."""
    population = found["population_of_grain"].to_numpy()
    names = [field_name(found, field) for field in found["population_field"].to_numpy()]
    posterior, morphology = (
        found["posterior"].to_numpy(),
        found["morphology"].to_numpy().astype(str),
    )
    return pd.DataFrame(
        {
            "scan": found["scan"].to_numpy()[found["scan_of_grain"].to_numpy()],
            "grain": found["number"].to_numpy(),
            "state": found["state"].to_numpy()[found["state_of_grain"].to_numpy()],
            "field": [names[one] if one >= 0 else "" for one in population],
            "counted": [Counted(one).name.lower() for one in found["counted"].to_numpy()],
            "positions": found["size"].to_numpy(),
            "converted": found["converted"].to_numpy(),
            "caught": found["caught"].to_numpy() == 1,
            "likeliest": morphology[np.argmax(posterior, axis=1)] if len(posterior) else [],
            **{f"p {name}": posterior[:, at] for at, name in enumerate(morphology)},
        }
    )
