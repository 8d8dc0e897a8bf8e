"""Maps of chemistry on the grid of the scan that they are laid on, for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.layouts.chemistry import SPECTRA
from phasefront.layouts.correlation import CORRELATION
from phasefront.layouts.registration import ACCEPTED, REGISTRATION
from phasefront.report.explorer import spectra
from phasefront.report.explorer.packing import COARSE, Packed, pack

_ERRORS = ("chemistry_stderr", "chemistry_systematic", "registration_stderr")


@dataclass(frozen=True)
class LaidMaps:
    """CORRELATION, REGISTRATION and, of those that come from stacks, SPECTRA of maps, by their
    stacks, that lie on scans for sure."""

    correlations: Mapping[str, xr.Dataset]
    registrations: Mapping[str, xr.Dataset]
    spectra: Mapping[str, xr.Dataset]

    @classmethod
    def read(
        cls, correlations: Sequence[Path], registrations: Sequence[Path], spectra: Sequence[Path]
    ) -> LaidMaps:
        """Of all maps that were laid on scans; those that were not accepted are not shown."""
        found = netcdf.read_all(correlations, CORRELATION, key="map")
        return cls(
            {name: one for name, one in found.items() if str(one.attrs["status"]) == ACCEPTED},
            netcdf.read_all(registrations, REGISTRATION, key="map"),
            netcdf.read_all(spectra, SPECTRA, key="map"),
        )

    def facts(self) -> list[dict]:
        """Of each map its stack, what it shows, its unit and what spectra it has, as explorer.js
        calls them."""
        return [
            {
                "stack": name,
                "quantity": str(one.attrs["quantity"]).replace("_", " "),
                "unit": str(one.attrs["unit"]),
                "spectrum": spectra.facts(self.spectra[name]) if name in self.spectra else None,
            }
            for name, one in self.correlations.items()
        ]

    def arrays(self, scan: str) -> dict[str, Packed]:
        """Quantity, total standard error and error of the place in nm (y, x) of maps on a scan, and
        spectra as `spectra.arrays` has them."""
        found = {}
        for name, one in self.correlations.items():
            if str(one.attrs["scan"]) != scan:
                continue
            total = np.sqrt(sum(one[error].to_numpy() ** 2 for error in _ERRORS))
            place = self.registrations[name]["position_stderr"].to_numpy()
            found[f"laid_{name}"] = pack(one["chemistry"].to_numpy(), "f4")
            found[f"laid_{name}_stderr"] = pack(total, "f4", bits=COARSE)
            found[f"laid_{name}_place"] = pack(place, "f4", bits=COARSE)
            if name in self.spectra:
                known = np.isfinite(one["chemistry"].to_numpy())
                own = spectra.arrays(self.spectra[name], self.registrations[name], known)
                found |= {f"laid_{name}_{part}": array for part, array in own.items()}
        return found
