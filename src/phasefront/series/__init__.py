<<<<<<< HEAD
"""In situ series: scans taken while a log was recorded."""
=======
"""The same positions scan after scan: their times, their place, and what they went through."""
>>>>>>> f193061c98fb564713d9fbe6125874ba2d6cad1c
