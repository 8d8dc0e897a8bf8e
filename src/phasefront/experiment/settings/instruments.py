"""Microscopes and how their cameras stand to the scan."""

from __future__ import annotations

from pydantic import Field, RootModel

from phasefront.experiment.settings.base import Model, Name, Positive


class Instrument(Model):
    """A microscope as it was set."""

    voltage_kv: float = Field(ge=30, le=3000, description="acceleration voltage, kV")
    precession_deg: float = Field(0, ge=0, lt=5, description="precession semi-angle, degrees")
    scale: Positive | None = Field(None, description="nominal scale of the camera, 1/A per pixel")


class Camera(Model):
    """How patterns lie to the image of the scan; `maps.frames` defines the convention."""

    rotation_deg: float = Field(
        ge=-360,
        le=360,
        description="where the image's x axis, along its rows, points in the pattern: degrees from"
        " the pattern's x axis towards its y axis, clockwise as drawn with rows downwards",
    )
    mirrored: bool = Field(
        description="whether the image's y axis points 90 degrees to the other side of that"
    )


class StatedCamera(Camera):
    """What is known of it."""

    rotation_error_deg: float | None = Field(
        None, ge=0, lt=90, description="standard error of rotation_deg; unknown where absent"
    )


class InstrumentSection(Instrument):
    """An instrument, with what only directions on the map depend on."""

    camera: StatedCamera | None = Field(
        None,
        description="how patterns lie to the image of the scan (docs/camera.md); where absent,"
        " directions on the map are relative to the camera, and outputs say so",
    )


class CameraOfScan(RootModel):
    """The camera that took a scan; null where the config does not state how it stands."""

    root: StatedCamera | None


class CamerasOfScans(RootModel):
    """The same of every scan, by its name."""

    root: dict[Name, StatedCamera | None]
