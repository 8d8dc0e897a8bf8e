"""The pictures of a run, drawn from the data sets of its stages.

Every `draw_...` is a pure function that returns a `matplotlib.figure.Figure`; `style.save` writes
it.
"""
