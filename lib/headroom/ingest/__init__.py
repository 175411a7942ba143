"""From any source to observations, items, events, and the rows refused with their reasons."""
