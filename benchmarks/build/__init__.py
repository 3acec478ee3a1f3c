"""How long builds take, beside pip and cp."""
