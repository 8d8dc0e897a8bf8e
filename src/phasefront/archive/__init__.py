"""One file for the journal: results, records, code and config."""
