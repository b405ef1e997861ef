"""Models as things people ship: what is known of one, and one file that carries it elsewhere."""
