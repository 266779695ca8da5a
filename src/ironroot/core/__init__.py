"""Values every floor shares: ids, clock, errors, canonical encoding, hash chain, Merkle tree, rate limits. Standard library only."""
