"""What a run says, as one static page and in the terminal. Reads run folders; only methods' end and
cli import it."""
