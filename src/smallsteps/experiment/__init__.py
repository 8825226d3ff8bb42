"""One experiment: the run folder, the data, what an arm is, and the recipe that names them."""
