"""Who may do what: API keys with their scopes and rates, and tickets for one stream."""
