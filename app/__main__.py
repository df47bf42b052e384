"""`vitals` and `python -m app`: imports the command line, and runs it."""

import os
import signal


def main() -> None:
    """Run the command line. Ctrl-C while it is imported prints no traceback."""
    interrupts = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interrupts:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from app import cli  # noqa: PLC0415 - after the handler

    if interrupts:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
