"""Which way ions go through a grain: along which direction their content changes, and whether that
is a channel of the structure."""
