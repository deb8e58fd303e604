"""The central inventory: one list of every camera with the proof that it comes down."""
