"""The sources of one state of charge side by side."""
