"""Runs: claims jobs, runs their functions, and asks core what each outcome means."""
