"""What devices say and are told: admission, intake, commands, desired configuration."""
