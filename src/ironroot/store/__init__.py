"""State: one unit of work on SQLite or PostgreSQL, and the migrations of both."""
