"""State and facts: what the platform writes."""
