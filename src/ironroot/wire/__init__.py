"""All messages that cross to a device, their topics and limits. Standard library only."""
