"""A fail-point kills its process at its name, and at no other."""

import signal
import subprocess
import sys


def test_only_the_named_fail_point_kills():
    code = (
        "from smallsteps.experiment import fail_points\n"
        "fail_points.fail_point('here')\n"  # nothing is chosen yet
        "fail_points.FAIL_AT = 'here'\n"
        "fail_points.fail_point('there'); print('alive', flush=True)\n"
        "fail_points.fail_point('here'); print('still alive', flush=True)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert process.stdout.split() == [b"alive"] and process.returncode == -signal.SIGKILL
