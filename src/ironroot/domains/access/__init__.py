"""People and programs: users, sessions, API keys, roles and permissions."""
