"""The bounded contexts. They meet through facts.py or through a port wired in app."""
