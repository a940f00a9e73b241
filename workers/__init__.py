"""The deeds: RQ jobs that record and relay, and the relays themselves. Imports ledger, schemas."""
