"""The fault matrix: real processes, real faults, and what came of every job. See `chaos.py`."""
