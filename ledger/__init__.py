"""The record: inbox, entries, Merkle tree, checkpoints, vault, state, outbox. Imports schemas."""
