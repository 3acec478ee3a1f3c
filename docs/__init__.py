"""The documentation: pages in Markdown, and what makes those of the reference."""
