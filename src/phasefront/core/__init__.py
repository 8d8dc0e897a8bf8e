"""What everything stands on: errors in one sentence, declared netCDF files, text, statistics."""
