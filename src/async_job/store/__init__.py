"""Remembers: atomic, guarded writes, and no policy."""
