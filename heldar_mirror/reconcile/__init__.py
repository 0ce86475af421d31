"""Making what runs match what the table asks for."""
