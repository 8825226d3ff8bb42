"""The results of a run as one static page and as tables in the terminal. Reads run folders; only
the command line imports it."""
