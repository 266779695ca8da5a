"""Configuration, wiring, supervisor, command line: the only place that knows all."""
