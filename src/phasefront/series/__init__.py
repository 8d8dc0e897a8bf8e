"""In situ series: scans taken while a log was recorded."""
