"""The door: Flask endpoints. Imports ledger, schemas, and of workers only the doorbell."""
