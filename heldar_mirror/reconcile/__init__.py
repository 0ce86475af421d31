"""How what runs is brought to what the table asks for."""
