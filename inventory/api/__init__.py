"""The API: agents report by it, programs read by it."""
