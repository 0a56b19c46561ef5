"""The handlers of the routes, by topic; ``app.operations`` says which path each answers."""
