"""The history of the tables, as Django writes it."""
