"""Simulated network devices that answer on real sockets as recorded devices did."""
