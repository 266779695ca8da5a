"""The policy decision point: folds the domains' facts into one decision per device."""
