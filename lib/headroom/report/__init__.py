"""What a person reads: one page with pictures, and a summary for the terminal."""
