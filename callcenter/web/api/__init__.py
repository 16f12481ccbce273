"""The REST API: one blueprint a noun."""
