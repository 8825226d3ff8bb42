"""Students behind an OpenAI-compatible server, and the playground (`smallsteps serve`)."""
