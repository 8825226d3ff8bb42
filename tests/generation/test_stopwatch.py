"""Seconds that other jobs on the machine do not lengthen."""

import time

import torch

from smallsteps.generation.stopwatch import Stopwatch


def work(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_on_a_cpu_only_work_counts():
    stopwatch = Stopwatch(torch.device("cpu"))
    time.sleep(0.3)  # as where another job has the core
    work(0.05)
    assert 0.05 <= stopwatch.share(1) < 0.3


def test_elsewhere_waiting_for_the_device_counts():
    stopwatch = Stopwatch(torch.device("meta"))
    time.sleep(0.05)
    assert stopwatch.share(1) >= 0.05


def test_where_a_server_writes_waiting_for_it_counts():
    stopwatch = Stopwatch(torch.device("cpu"), "vllm")
    time.sleep(0.05)
    assert stopwatch.share(1) >= 0.05


def test_the_seconds_are_divided_among_the_answers():
    stopwatch = Stopwatch(torch.device("cpu"))
    work(0.05)
    assert 0.005 <= stopwatch.share(10) < 0.04
    assert stopwatch.share(0) >= 0.05, "no answers: all of it"
