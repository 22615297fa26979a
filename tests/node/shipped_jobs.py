"""Jobs for workers of any version from 3.8; it travels as a file."""

import os
import sys
import time

made = "nothing"


def version(n=0):
    print("under", sys.version_info[:2], n)
    return sys.version_info[:2]


def where():
    return sys.version_info[:2], os.getpid(), os.getppid()


def nap(seconds):
    time.sleep(seconds)
    return sys.version_info[:2]


def fail(n):
    raise LookupError(n)  # here


def prepare():
    global made
    made = "made under %d.%d" % sys.version_info[:2]
    return "value"


def slow_prepare():
    with open("setups", "a") as log:
        log.write("%d\n" % os.getpid())
    time.sleep(0.5)
    prepare()


def use():
    import lightwork

    return made, lightwork.node_value(), lightwork.current_job().node, os.getppid()


def clean():
    with open("../../cleaned", "a") as log:
        log.write(made + " by %d.%d\n" % sys.version_info[:2])


def importable():
    found = []
    for name in ("cloudpickle", "cloudpickle.cloudpickle_fast", "msgspec", "click", "psutil"):
        try:
            __import__(name)
        except ImportError:
            continue
        found.append(name)
    return found, sys.modules["cloudpickle"].__file__, sys.path


def variables():
    return {name: value for name, value in os.environ.items() if name.startswith(("PYTHON", "LIGHTWORK"))}
