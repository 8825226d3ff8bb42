"""The commands of `smallsteps`, one file each: their options, and nothing else.

Each command fills the settings and calls the module beside this folder that does the work. Those
modules are imported inside the commands, so that `smallsteps --help` loads no torch."""
