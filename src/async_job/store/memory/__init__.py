"""Remembers in the process: nothing to install, nothing left after the end."""
