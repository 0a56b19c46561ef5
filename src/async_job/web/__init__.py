"""Answers: translates HTTP to the ``Jobs`` facade. Handlers take an ASGI scope and give an ``Answer``."""
