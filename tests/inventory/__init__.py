"""What a pack holds, for other tools."""
