"""Snakemake's logger plugin of `phasefront run`: events as lines of JSON.

Snakemake takes it only where it is told to: `snakemake --logger phasefront`. It finds plugins by
the names of packages, so this one stands beside `phasefront` and not in it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from logging import LogRecord

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

DESCRIPTOR = "PHASEFRONT_EVENTS"  # environment variable
_FIELDS = {
    LogEvent.RUN_INFO: ("stats",),
    LogEvent.JOB_INFO: ("rule_name",),
    LogEvent.PROGRESS: ("done", "total"),
    LogEvent.JOB_ERROR: ("log",),
    LogEvent.ERROR: ("exception", "msg"),
}


class LogHandler(LogHandlerBase):
    """Writes to the file descriptor that the environment names; jobs do not see it."""

    writes_to_stream = writes_to_file = needs_rulegraph = False
    has_filter = has_formatter = True  # so that `--quiet` in a profile hides nothing

    def __post_init__(self) -> None:
        if DESCRIPTOR not in os.environ:
            raise WorkflowError(
                "The logger 'phasefront' is for the command 'phasefront run' alone."
            )
        self._events = os.fdopen(int(os.environ.pop(DESCRIPTOR)), "w", buffering=1)

    def emit(self, record: LogRecord) -> None:
        event = getattr(record, "event", None)
        if event in _FIELDS:
            fields = {name: getattr(record, name) for name in _FIELDS[event]}
            with suppress(BrokenPipeError):  # who listened was asked to stop
                self._events.write(json.dumps({"event": event, **fields}) + "\n")

    def close(self) -> None:
        self._events.close()
        super().close()
