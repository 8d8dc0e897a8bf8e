"""What the user states: config and tables, checked, and what follows for a run. No science."""
