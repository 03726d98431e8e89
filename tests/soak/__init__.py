"""A hub under load for an hour."""
