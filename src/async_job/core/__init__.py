"""Decides: what may happen to a job, and when. Values only; nothing here waits, reads or writes."""
