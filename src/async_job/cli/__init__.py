"""The command line: starts servers and workers, and asks about jobs."""
