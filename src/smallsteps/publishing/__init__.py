"""Students leave: model cards, folders for other tools, the Hub."""
