"""`python -m app` is `vitals`."""

from app.cli import main


main()
