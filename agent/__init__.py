"""The agent: everything that touches the network."""
