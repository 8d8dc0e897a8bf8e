"""What goes to the journal."""

from __future__ import annotations

from pydantic import Field

from phasefront.experiment.settings.base import Model


class SupplementSettings(Model):
    """What goes to the journal."""

    include_raw: bool = Field(False, description="pack the raw scans too")
    raw_identifier: str | None = Field(None, description="DOI or URL where the raw scans lie")
    license: str = Field(
        "https://spdx.org/licenses/CC-BY-4.0", description="licence of the data, as a URL"
    )
