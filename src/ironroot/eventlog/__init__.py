"""The record: append-only facts, hash chain, signed checkpoints, cursors, projections."""
