"""Stacks of images over energy, and maps of a quantity that other programs made."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from phasefront.experiment.settings.base import FilePath, Line, Model, Name, Positive


class StackSettings(Model):
    """Drift and optical density of X-ray stacks."""

    align: bool = Field(True, description="whether the drift of images is taken out")
    # The optical density of best contrast to noise: Watts, J. Synchrotron Rad. 29, 2022.
    max_density: Positive = Field(
        2.2, description="optical density above which energies are left out, position by position"
    )
    stray_share: float = Field(
        0.02, ge=0, lt=0.5, description="light that no sample takes away (higher orders), at most"
    )


def _region_from_text(value: object) -> object:
    """Cells of a table hold text."""
    if not isinstance(value, str):
        return value
    parts = [part.split(":") for part in value.replace(" ", "").split(",")]
    if len(parts) != 2 or not all(
        len(part) == 2 and all(end.isdecimal() for end in part) for part in parts
    ):
        raise ValueError(f"{value!r} is no region; write rows, columns from 0, such as 0:10, 0:125")
    region = [tuple(map(int, part)) for part in parts]
    if any(first >= last for first, last in region):
        raise ValueError(f"{value!r} holds no pixel; write the first, and the one after the last")
    return region


PixelRange = tuple[int, int]
Region = Annotated[tuple[PixelRange, PixelRange], BeforeValidator(_region_from_text)]


class StackRow(Model):
    """A row of the table of stacks."""

    stack: Name
    state: Name
    path: FilePath
    kind: Literal["xray", "eels", "low-loss", "map"] = Field(
        "xray",
        description="X-ray absorption; edges of energy losses; their low loss; or a map of a"
        " quantity that another program made",
    )
    pixel_nm: Positive | None = Field(None, description="where the file does not say it")
    i0: FilePath | None = Field(
        None, description="I0, where the file has no monitor: text of two columns, eV and counts"
    )
    i0_region: Region | None = Field(
        None, description="pixels without a sample in every image, rows, columns: 0:10, 0:125"
    )
    dark_counts: float = Field(0, ge=0, description="counts of a pixel without light")
    low_loss: Name | None = Field(
        None, description="of eels: the stack that is its low loss, position by position"
    )
    beam_kev: Positive | None = Field(None, description="where a file of losses does not say it")
    electrons_per_nm2: Positive | None = Field(
        None, description="of eels: what each position took while it was scanned"
    )
    repeat_of: Name | None = Field(
        None, description="of eels: the stack whose positions it takes once more, after that"
    )
    quantity: Line | None = Field(None, description="of a map: what its values are")
    unit: Line | None = Field(None, description="of a map: theirs, 1 for shares and the like")
    error: float | None = Field(None, ge=0, description="of a map: standard error of each value")
    error_map: FilePath | None = Field(None, description="of a map: map of its standard errors")
    systematic_error: float = Field(
        0, ge=0, description="of a map: standard error that all values share"
    )
    thickness_map: FilePath | None = Field(
        None, description="of a map: map of the thickness on the same pixels, to lay it on others"
    )
    thickness_unit: Line = Field("1", description="of a map: unit of the thickness")
    thickness_error: Positive | None = Field(
        None, description="of a map: standard error of each thickness, to lay it on others"
    )

    @model_validator(mode="after")
    def _one_i0(self) -> StackRow:
        if self.i0 is not None and self.i0_region is not None:
            raise ValueError("i0 and i0_region are both given; give one of them")
        return self

    @model_validator(mode="after")
    def _losses_have_a_low_loss(self) -> StackRow:
        if (self.kind == "eels") != (self.low_loss is not None):
            raise ValueError(
                "kind and low_loss do not go together; name the low loss where kind is eels, and"
                " only there"
            )
        if self.kind != "eels" and (self.electrons_per_nm2, self.repeat_of) != (None, None):
            raise ValueError(
                "electrons_per_nm2 and repeat_of are of losses; set kind to eels or leave them out"
            )
        if self.kind in ("xray", "map") and self.beam_kev is not None:
            raise ValueError("beam_kev is of losses; set kind to eels or leave it out")
        if self.kind not in ("xray", "map") and (
            (self.i0, self.i0_region) != (None, None) or self.dark_counts
        ):
            raise ValueError("losses have no I0 and no dark counts; leave them out")
        return self

    @model_validator(mode="after")
    def _a_map_says_what_it_is(self) -> StackRow:
        stated = (self.quantity, self.unit)
        errors = (self.error, self.error_map)
        if self.kind == "map":
            if None in stated or errors.count(None) != 1:
                raise ValueError(
                    "a map needs quantity, unit and one of error and error_map; add what lacks"
                )
            if (self.i0, self.i0_region) != (None, None) or self.dark_counts:
                raise ValueError("a map has no I0 and no dark counts; leave them out")
        elif (
            set(stated + errors + (self.thickness_map, self.thickness_error)) != {None}
            or self.systematic_error
        ):
            raise ValueError(
                "quantity, unit, errors and thickness are of maps alone; set kind to map or"
                " leave them out"
            )
        return self


class StackLaying(Model):
    """What the table of stacks says of where a map of chemistry is laid."""

    stack: Name
    scan: Name | None = Field(
        None, description="scan of the run that its map is laid on; not laid where empty"
    )
    resolution_nm: Positive | None = Field(
        None, description="of what is laid: full width at half maximum of the probe"
    )
    per_ion: float | None = Field(
        None,
        description="of what is laid, where it is no ion content: its change for one ion more in a"
        " formula unit, such as -0.5 of a mean valence of V",
    )


class ListedStack(StackRow, StackLaying):
    """A row of the table of stacks with what only some of the rules ask for."""

    particle: Line | None = Field(
        None,
        description="what it is of as a whole: all maps and grains of one particle count"
        " once for a state; each grain counts where empty",
    )
    landmarks: FilePath | None = Field(
        None,
        description="of what is laid: text of points that a person found in both, with columns row,"
        " column (of the map, from 0), y_nm, x_nm (on the scan, from its first position), error_nm",
    )

    @model_validator(mode="after")
    def _what_is_laid_can_be(self) -> ListedStack:
        if self.scan is None:
            if (self.resolution_nm, self.per_ion, self.landmarks) != (None, None, None):
                raise ValueError(
                    "resolution_nm, per_ion and landmarks are of what is laid on a scan; name the"
                    " scan or leave them out"
                )
            return self
        if self.kind == "low-loss" or self.repeat_of is not None:
            raise ValueError(
                "a low loss or a repeat has no map of its own to lay; name the scan of the stack"
                " that it belongs to"
            )
        if self.resolution_nm is None:
            raise ValueError(
                "a map is laid on a scan, and its resolution is not known; give resolution_nm, the"
                " full width at half maximum of its probe"
            )
        if self.kind == "map" and None in (self.thickness_map, self.thickness_error):
            raise ValueError(
                "a map is laid on a scan by its thickness, which is not known; give thickness_map"
                " and thickness_error"
            )
        return self
