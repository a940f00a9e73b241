"""Stripe's events: an allow-list projection. What is not named here is never kept (they hold cards, addresses, phone
numbers and bearer links)."""
