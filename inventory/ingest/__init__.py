"""Takes reports of agents into the inventory."""
