"""What devices report: written by the intake worker."""
