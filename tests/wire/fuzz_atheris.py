"""The coverage-guided fuzzer: `python -m tests.wire.fuzz_atheris CORPUS -runs=N ...` (libFuzzer's options)."""

import sys

import atheris

with atheris.instrument_imports(include=["lightwork.wire", "lightwork.model"]):
    from tests.wire.fuzzing import one_input


def main() -> None:
    """Never returns: libFuzzer exits."""
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
