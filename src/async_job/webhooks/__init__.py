"""Tells others that a job has ended, by the rules of Standard Webhooks. The loop that does it is the worker's."""
