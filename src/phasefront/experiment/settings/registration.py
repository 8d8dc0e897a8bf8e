"""How maps of other instruments are laid on scans."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from phasefront.experiment.settings.base import Fraction, Model, Positive

ScanChannel = Literal["diffuse", "dark_field"]


def _distinct(channels: list[ScanChannel]) -> list[ScanChannel]:
    if len(set(channels)) < len(channels):
        raise ValueError("a channel is named twice; name each once")
    return channels


class RegistrationSettings(Model):
    """Images of the scan that maps are laid by, and how alike they can be."""

    channels: Annotated[list[ScanChannel], AfterValidator(_distinct)] = Field(
        ["diffuse"],
        min_length=1,
        description="images of the scan that grow with thickness; what several disagree by is part"
        " of the error",
    )
    probe_nm: Positive | None = Field(
        None, description="full width at half maximum of the scan's probe; a scan step where absent"
    )
    # As much as the images of a real pair differ by: docs/registration.md.
    unlike: Fraction = Field(
        0.08,
        description="standard error, as a share of the map's signal, by which its contrast differs"
        " from the scan's beyond noise: other energies, a partly coherent probe",
    )
