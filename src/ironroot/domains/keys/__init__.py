"""Keys at rest: the master key, envelope encryption, keys by purpose."""
