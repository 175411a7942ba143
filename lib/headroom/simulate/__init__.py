"""A fleet that behaves like a real one, with what is wrong in it written down beside it."""
