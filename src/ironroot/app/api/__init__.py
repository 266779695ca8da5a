"""The HTTP applications behind the doors: one for people and programs, one for devices, one for signed objects."""
