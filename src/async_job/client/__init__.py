"""Asks a server over HTTP for what ``Jobs`` does in process: the same verbs, the same errors.

What is asked, what an answer means and when to ask again is written once, as steps (``verbs.py``) that send nothing
themselves; the two clients differ in how they take them.
"""
