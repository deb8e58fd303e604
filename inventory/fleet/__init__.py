"""The fleet of agents: how they enrol, what they bring by any way, what they are asked for."""
