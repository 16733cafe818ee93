"""What the SDK scripts share: where to call, and how a check is told.

Each script is called with BASE_URL (without a version), API_KEY and ANSWER in its environment,
prints one line per check and ends with 1 if any failed. LACKS names what the provider behind
a gateway can't do, such as embeddings: checks that need it are left out.
"""

import os
import sys
import traceback

# No proxy may stand between a test and loopback.
for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
    os.environ.pop(variable, None)
    os.environ.pop(variable.lower(), None)

BASE_URL = os.environ["BASE_URL"]
API_KEY = os.environ["API_KEY"]
ANSWER = os.environ["ANSWER"]
WORDS = len(ANSWER.split())
LACKS = os.environ.get("LACKS", "").split()

_checks = []


class Different(Exception):
    """A check saw something else than it expected."""


def check(function):
    """Marks a function as a check. Its name, read as a sentence, says what should hold."""
    _checks.append(function)
    return function


def needs(ability):
    """Marks a function as a check of something that not every provider can do."""
    return check if ability not in LACKS else lambda function: function


def same(what, got, expected):
    """Fails the check unless both are equal."""
    if got != expected:
        raise Different(f"{what}: expected {expected!r}, got {got!r}")


def run():
    """Runs all checks in order, and ends the script."""
    failed = 0
    for function in _checks:
        name = function.__name__.replace("_", " ")
        try:
            function()
            print(f"ok      {name}", flush=True)
        except Different as difference:
            failed += 1
            print(f"FAILED  {name}: {difference}", flush=True)
        except Exception as error:  # noqa: BLE001 - whatever an SDK throws is a failed check
            failed += 1
            print(f"FAILED  {name}: {type(error).__name__}: {error}", flush=True)
            traceback.print_exc()
    sys.exit(1 if failed or not _checks else 0)
