"""Maps of other instruments laid on a scan's grid, with the error of where they lie."""
